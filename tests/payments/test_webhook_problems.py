"""What is wrong with Stripe's deliveries is noticed from the deliveries themselves, and alerted."""

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from notifications.models import Alert, Email
from operations import reconciliation
from payments import webhook_problems
from payments.models import Refund, StripeEvent, WebhookProblem
from tests.affiliates.make import make_staff
from tests.affiliates.shop import buy, fresh
from tests.factories import completed, deliver, make_pending, signed
from tests.payments.reconciled import mended
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.any_engine

HOUR = 3600
WRONG_SECRET = "Stripe's events are refused: the signing secret is wrong"
WRONG_CLOCK = "Stripe's events are refused: the clock of this server is wrong"
OLD_VERSION = "2024-09-30.acacia"


def alerts() -> list[str]:
    mails = Email.objects.filter(kind="staff_alert").order_by("created_at")
    return [mail.context["subject"] for mail in mails]


def lines() -> str:
    return "\n".join(Email.objects.get(kind="staff_alert").context["lines"])


def problems() -> list[tuple[str, str]]:
    return list(WebhookProblem.objects.order_by("first_at").values_list("kind", "detail"))


def refuse(client: Client, times: int = 1, **signature: Any) -> None:
    """Deliver events that are signed in another way than we expect."""
    for _ in range(times):
        _, payment = make_pending()
        event = completed(payment)

        body = json.dumps(event)
        answer = deliver(client, body, header=signed(body, **signature))
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_SIGNATURE")
        assert fresh(payment).status == "pending"


# --- M4: the secret and the clock -----------------------------------------------------------------
def test_repeated_signatures_of_another_secret_alert_once(client: Client):
    refuse(client, 2, secret="whsec_rolled")
    assert (alerts(), problems()) == ([], [])
    refuse(client, 20, secret="whsec_rolled")
    assert (alerts(), problems()) == ([WRONG_SECRET], [("secret", "")])
    assert StripeEvent.objects.count() == 0


@pytest.mark.parametrize(
    ("by", "words"), [(-10 * 60, "ahead of Stripe's"), (10 * 60, "behind Stripe's")]
)
def test_repeated_signatures_of_another_time_alert_once_and_name_the_clock(
    client: Client, by: int, words: str
):
    refuse(client, 5, timestamp=int(time.time()) + by)
    assert (alerts(), problems()) == ([WRONG_CLOCK], [("clock", "")])
    assert "Our clock is about 10 minutes" in lines()
    assert words in lines()


@pytest.mark.every_engine
def test_the_next_day_it_alerts_again_and_the_office_shows_since_when(client: Client):
    refuse(client, 3, secret="whsec_rolled")
    cache.clear()
    Email.objects.all().delete()
    Alert.objects.all().delete()
    yesterday = timezone.now().replace(microsecond=0) - timedelta(days=1)
    WebhookProblem.objects.update(first_at=yesterday, last_at=yesterday)
    refuse(client, 3, secret="whsec_rolled")
    assert alerts() == [WRONG_SECRET]
    problem = WebhookProblem.objects.get()
    assert problem.first_at == yesterday
    assert problem.last_at > yesterday
    client.force_login(make_staff())
    page = client.get("/admin/payments/webhookproblem/").content.decode()
    assert "The signatures are not made with a secret in STRIPE_WEBHOOK_SECRET." in page


@pytest.mark.parametrize(
    "header",
    ["", "t=1,v1=00", "v1=" + "a" * 64, "t=x,v1=" + "a" * 64, "t=1790000000,v1=é", "Basic abc"],
)
def test_what_is_not_signed_as_stripe_signs_alerts_nobody(client: Client, header: str):
    """Anybody can send it: scanners, and those who only guess the address."""
    for _ in range(10):
        assert deliver(client, "{}", header=header).status_code == 400
    assert (alerts(), problems()) == ([], [])


def test_a_delivery_that_is_accepted_is_no_problem(client: Client):
    for _ in range(5):
        assert deliver(client, completed(make_pending()[1])).status_code == 200
    assert (alerts(), problems()) == ([], [])


@pytest.mark.parametrize(
    ("signature", "cause"),
    [
        ({"secret": "whsec_rolled"}, "The signatures are not made with a secret"),
        ({"timestamp": 1_790_000_000}, "Our clock is about"),
    ],
)
def test_the_cause_of_refused_deliveries_is_the_likely_cause_of_what_is_found(
    client: Client, sandbox: Sandbox, signature: dict[str, Any], cause: str
):
    sandbox.webhooks(hold=False)
    _, payment = buy(sandbox)
    sandbox.refund_in_dashboard(payment.stripe_payment_intent_id)
    refuse(client, 3, **signature)
    Email.objects.all().delete()
    assert mended(reconciliation.run_and_alert()) == {"refunds": 1}
    assert alerts() == ["Stripe's events did not report everything"]
    assert f"Likely cause: {cause}" in lines()


@pytest.mark.every_engine
def test_silence_for_a_day_is_the_likely_cause(client: Client):
    deliver(client, completed(make_pending()[1]))
    assert webhook_problems.likely_cause().startswith("Other events arrive.")
    StripeEvent.objects.update(created_at=timezone.now() - timedelta(days=2))
    since = StripeEvent.objects.get().created_at
    assert webhook_problems.likely_cause().startswith(
        f"No event has arrived since {since:%Y-%m-%d %H:%M} UTC."
    )
    StripeEvent.objects.update(is_fetched=True, created_at=timezone.now())
    assert webhook_problems.likely_cause().startswith("No event has ever arrived.")


# --- M6: another API version ----------------------------------------------------------------------
def test_the_first_event_of_another_version_alerts(client: Client):
    for _ in range(3):
        event = {**completed(make_pending()[1]), "api_version": OLD_VERSION}
        assert deliver(client, event).json()["message"] == "Event processed"
        cache.clear()
    assert alerts() == ["Stripe sends events of another API version"]
    assert problems() == [("version", OLD_VERSION)]
    assert "It has no events of refunds" in lines()
    newer = {**completed(make_pending()[1]), "api_version": "2025-03-31.basil"}
    deliver(client, newer)
    assert problems() == [("version", OLD_VERSION), ("version", "2025-03-31.basil")]
    assert len(alerts()) == 2


@pytest.mark.parametrize("version", [None, "", "2026-10-28.endive"])
def test_our_version_or_none_alerts_nobody(client: Client, version: str | None):
    deliver(client, {**completed(make_pending()[1]), "api_version": version})
    assert (alerts(), problems()) == ([], [])


def test_where_no_event_of_a_refund_is_sent_the_charges_event_makes_us_ask(sandbox: Sandbox):
    sandbox.webhooks(api_version=OLD_VERSION)
    enrollment, payment = buy(sandbox)
    sandbox.refund_in_dashboard(payment.stripe_payment_intent_id, 100)
    sandbox.refund_in_dashboard(payment.stripe_payment_intent_id, 200)
    kinds = deliver_sent(sandbox)
    assert set(kinds) == {"charge.refunded"}
    assert sorted(Refund.objects.values_list("amount", "status")) == [
        (100, "succeeded"),
        (200, "succeeded"),
    ]
    assert fresh(payment).refund_committed == 300
    sandbox.refund_in_dashboard(payment.stripe_payment_intent_id)
    deliver_sent(sandbox)
    assert (fresh(enrollment).status, fresh(payment).refund_committed) == ("refunded", 49900)


def deliver_sent(sandbox: Sandbox) -> list[str]:
    """Deliver what this endpoint gets of the events that did not arrive yet."""
    known = set(StripeEvent.objects.values_list("event_id", flat=True))
    sent = [
        event
        for event in sandbox.book("events")
        if event["id"] not in known and event["pending_webhooks"]
    ]
    for event in sent:
        assert deliver(Client(), event).status_code == 200
    return [event["type"] for event in sent]


def charge_events(sandbox: Sandbox) -> list[dict[str, Any]]:
    return [event for event in sandbox.book("events") if event["type"] == "charge.refunded"]


def test_a_charge_whose_refunds_are_known_asks_nobody(sandbox: Sandbox):
    _, payment = buy(sandbox)
    sandbox.refund_in_dashboard(payment.stripe_payment_intent_id, 100)
    [event] = charge_events(sandbox)
    for other in sandbox.book("events"):
        if other["type"].startswith("refund."):
            deliver(Client(), other)
    before = len(sandbox.calls("stripe"))
    assert deliver(Client(), event).json()["message"] == "Refund already recorded"
    assert len(sandbox.calls("stripe")) == before


@pytest.mark.every_engine
def test_a_charges_event_waits_for_stripe_and_is_applied_later(sandbox: Sandbox):
    enrollment, payment = buy(sandbox)
    sandbox.refund_in_dashboard(payment.stripe_payment_intent_id)
    [event] = charge_events(sandbox)
    sandbox.fault("stripe", "down")
    answer = deliver(Client(), event)
    assert (answer.status_code, answer.json()["message"]) == (200, "Event stored, to be processed")
    stored = StripeEvent.objects.get(event_id=event["id"])
    assert (stored.status, stored.attempts, Refund.objects.count()) == ("pending", 0, 0)
    sandbox.heal()
    assert deliver(Client(), event).json()["message"] == "Event processed"
    assert fresh(enrollment).status == "refunded"
    assert deliver(Client(), event).json()["message"] == "Event already processed"


# --- M7: thin events ------------------------------------------------------------------------------
def thin(kind: str = "v1.checkout.session.completed", **fields: Any) -> dict[str, Any]:
    return {
        "id": f"evt_{time.time_ns()}",
        "object": "v2.core.event",
        "type": kind,
        "created": "2026-11-28T10:00:00.000Z",
        "livemode": False,
        "related_object": {"id": "cs_1", "type": "checkout.session", "url": "/v1/x"},
        **fields,
    }


@pytest.mark.every_engine
def test_thin_events_are_stored_and_alert_once(client: Client):
    for _ in range(3):
        event = thin()
        answer = deliver(client, event)
        assert (answer.status_code, answer.json()) == (
            200,
            {"success": True, "message": "Event ignored", "eventId": event["id"]},
        )
        cache.clear()
    assert StripeEvent.objects.filter(status="done", outcome="Event ignored").count() == 3
    assert StripeEvent.objects.latest("created_at").payload == event
    assert alerts() == ["Stripe sends thin events: choose Snapshot"]
    assert problems() == [("thin", "")]


def test_the_ping_of_a_new_destination_is_fine(client: Client):
    for _ in range(3):
        assert deliver(client, thin("v2.core.event_destination.ping")).status_code == 200
    assert (StripeEvent.objects.count(), alerts(), problems()) == (3, [], [])
    assert webhook_problems.likely_cause().startswith("No event has ever arrived.")


@pytest.mark.parametrize(
    "kind", ["checkout.session.completed", "refund.created", "charge.refunded", "charge.dispute.x"]
)
@pytest.mark.parametrize("data", [{}, {"data": None}, {"data": {"object": {"id": "x"}}}])
def test_whatever_a_thin_event_is_called_it_changes_nothing(
    client: Client, kind: str, data: dict[str, Any]
):
    _, payment = make_pending()
    assert deliver(client, thin(kind, **data)).json()["message"] == "Event ignored"
    assert (fresh(payment).status, Refund.objects.count()) == ("pending", 0)


def test_a_thin_event_without_a_mode_is_stored_too(client: Client):
    event = thin()
    del event["livemode"]
    assert deliver(client, event).status_code == 200
    assert StripeEvent.objects.get().event_id == event["id"]


# --- an endpoint of the other mode ----------------------------------------------------------------
OTHER_MODE = "Stripe sends events of the other mode (test or live)"


@pytest.mark.parametrize("livemode", [True, False])
def test_an_endpoint_of_the_other_mode_alerts_once_however_much_it_sends(
    client: Client, settings, livemode: bool
):
    settings.STRIPE_LIVEMODE = not livemode
    payments = [make_pending()[1] for _ in range(3)]
    for payment in payments:
        event = {**completed(payment), "livemode": livemode}
        assert deliver(client, event).json()["message"] == "Event ignored"
        assert fresh(payment).status == "pending"
        cache.clear()
    deliver(client, {**event, "id": "evt_unknown", "type": "payout.paid"})
    deliver(client, thin(livemode=livemode))
    assert (alerts(), problems()) == ([OTHER_MODE], [("mode", "")])
    assert f"{timezone.now():%Y%m%d}" not in Email.objects.get().dedupe_key  # nor tomorrow
    theirs, ours = ("live", "test") if livemode else ("test", "live")
    assert f"events of {theirs} mode, and this shop is in {ours} mode" in lines()
    assert f"In {theirs} mode of Stripe's dashboard › Developers › Webhooks, delete" in lines()
    right = {**completed(payments[0]), "livemode": not livemode}
    assert deliver(client, right).json()["message"] == "Event processed"
    assert alerts() == [OTHER_MODE]
