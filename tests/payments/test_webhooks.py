import json
import re
import time

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from enrollments.models import Enrollment, EnrollmentEvent
from lms_sync.models import SyncJob
from maaledu.work.queue import drain
from notifications.models import Email
from payments import webhooks
from payments.models import Dispute, Payment, Refund, StripeEvent
from payments.webhooks import EVENTS
from tests import factories
from tests.concurrency import race
from tests.factories import async_succeeded, completed, deliver, expired, make_pending, unpaid

pytestmark = pytest.mark.any_engine

TRANSACTION_WORDS = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK", "session.")


def statements(captured: CaptureQueriesContext) -> list[str]:
    return [query["sql"] for query in captured if not query["sql"].startswith(TRANSACTION_WORDS)]


def state(payment: Payment) -> tuple:
    """Everything about a purchase that must not depend on the order of events."""
    payment.refresh_from_db()
    enrollment = Enrollment.objects.get(pk=payment.enrollment_id)
    jobs = SyncJob.objects.filter(dedupe_key=f"enroll:{enrollment.pk}").count()
    return enrollment.status, payment.status, payment.review_reason, enrollment.failure_code, jobs


@pytest.mark.every_engine
def test_a_paid_session_makes_the_enrollment_paid_with_one_job_and_one_trail(
    client: Client,
) -> None:
    enrollment, payment = make_pending()
    event = completed(payment)
    answer = deliver(client, event)
    assert (answer.status_code, answer.json()) == (
        200,
        {"success": True, "message": "Event processed", "eventId": event["id"]},
    )
    assert state(payment) == ("paid", "paid", "", "", 1)
    enrollment.refresh_from_db()
    assert enrollment.paid_at is not None
    assert enrollment.payment_reference == event["data"]["object"]["payment_intent"]
    assert payment.amount_received == 49900
    trail = EnrollmentEvent.objects.get(enrollment=enrollment)
    assert (trail.from_status, trail.to_status, trail.actor) == ("pending", "paid", event["id"])
    job = SyncJob.objects.get()
    assert (job.email, job.course_id, job.platform, job.status) == (
        enrollment.email,
        enrollment.lms_course_id,
        "frappe",
        "pending",
    )
    assert Email.objects.count() == 0


@pytest.mark.every_engine
def test_the_whole_webhook_is_six_statements_and_one_transaction(client: Client) -> None:
    _, payment = make_pending()
    event = completed(payment)
    with CaptureQueriesContext(connection) as captured:
        assert deliver(client, event).status_code == 200
    assert len(statements(captured)) == 6, statements(captured)
    if connection.vendor != "mongodb":
        assert sum(query["sql"].startswith("BEGIN") for query in captured) == 1


@pytest.mark.every_engine
def test_second_delivery_of_an_event_changes_nothing(client: Client) -> None:
    _, payment = make_pending()
    event = completed(payment)
    deliver(client, event)
    before = state(payment)
    answer = deliver(client, event, path="/webhooks/stripe/")
    assert answer.json() == {
        "success": True,
        "message": "Event already processed",
        "eventId": event["id"],
    }
    assert state(payment) == before
    assert (StripeEvent.objects.count(), EnrollmentEvent.objects.count()) == (1, 1)


@pytest.mark.every_engine
def test_each_delivery_of_an_event_is_counted_and_what_was_fetched_had_none(
    client: Client,
) -> None:
    """Requirement R098: staff see how often Stripe had to deliver."""
    event, other = completed(make_pending()[1]), completed(make_pending()[1])
    webhooks.receive_fetched(other)
    for _ in range(3):
        deliver(client, event)
    webhooks.receive_fetched(event)
    counts = dict(StripeEvent.objects.values_list("event_id", "deliveries"))
    assert counts == {event["id"]: 3, other["id"]: 0}
    deliver(client, other)
    assert StripeEvent.objects.get(event_id=other["id"]).deliveries == 1


def test_another_event_about_the_same_payment_changes_nothing(client: Client) -> None:
    _, payment = make_pending()
    deliver(client, completed(payment))
    before = state(payment)
    answer = deliver(client, completed(payment))
    assert answer.json()["message"] == "Payment already processed"
    assert state(payment) == before


@pytest.mark.every_engine
@pytest.mark.parametrize("distinct", [False, True], ids=["one event", "twenty events"])
def test_twenty_deliveries_at_once_make_one_paid_enrollment(distinct: bool) -> None:
    _, payment = make_pending()
    events = [completed(payment) for _ in range(20)] if distinct else [completed(payment)] * 20
    answers = race(lambda number: deliver(Client(), events[number]).status_code, threads=20)
    assert set(answers) == {200}
    drain(EVENTS)
    assert state(payment) == ("paid", "paid", "", "", 1)
    assert EnrollmentEvent.objects.filter(to_status="paid").count() == 1


def test_an_unpaid_session_is_not_fulfilled_until_the_bank_pays(client: Client) -> None:
    _, payment = make_pending()
    deliver(client, unpaid(payment))
    assert state(payment) == ("pending", "processing", "", "", 0)
    deliver(client, async_succeeded(payment))
    assert state(payment) == ("paid", "paid", "", "", 1)


@pytest.mark.parametrize(
    ("change", "received"),
    [({"amount_total": 1}, 1), ({"currency": "jpy"}, 49900), ({"amount_total": None}, None)],
    ids=["amount", "currency", "no amount"],
)
def test_another_amount_or_currency_is_kept_flagged_and_not_fulfilled(
    client: Client, change: dict, received: int
) -> None:
    _, payment = make_pending()
    assert deliver(client, completed(payment, **change)).status_code == 200
    assert state(payment) == ("failed", "paid", "amount_mismatch", "AMOUNT_MISMATCH", 0)
    assert payment.amount_received == received
    assert Email.objects.filter(kind="staff_alert").count() == 1


def test_an_event_of_the_other_mode_is_kept_and_nothing_is_granted(client: Client) -> None:
    _, payment = make_pending()
    event = {**completed(payment), "livemode": True}
    assert deliver(client, event).json()["message"] == "Event ignored"
    assert state(payment) == ("pending", "pending", "", "", 0)
    assert StripeEvent.objects.get().outcome == "Event ignored"
    assert Email.objects.filter(kind="staff_alert").count() == 1


def session_events(payment: Payment) -> list[dict]:
    return [completed(payment), factories.async_failed(payment), expired(payment)]


def refund_events(payment: Payment) -> list[dict]:
    return [factories.refunded(factories.refund_of(payment))]


def dispute_events(payment: Payment) -> list[dict]:
    return [factories.disputed(factories.dispute_of(payment))]


@pytest.mark.parametrize("events_of", [session_events, refund_events, dispute_events])
def test_an_event_of_another_stripe_account_is_kept_and_changes_nothing(
    client: Client, events_of
) -> None:
    """Contracts, bad input 23: `account` names the connected account that an event is about; none
    of them is ours.
    """
    _, payment = make_pending()
    if events_of is not session_events:
        deliver(client, completed(payment))
    before, events = state(payment), events_of(payment)
    for event in events:
        assert (
            deliver(client, {**event, "account": "acct_of_somebody_else"}).json()["message"]
            == "Event ignored"
        )
    assert (state(payment), Refund.objects.count(), Dispute.objects.count()) == (before, 0, 0)
    alerts = [" ".join(mail.context["lines"]) for mail in Email.objects.filter(kind="staff_alert")]
    assert ["another Stripe account" in lines for lines in alerts] == [True]
    ours = {**events[0], "id": "evt_of_ours", "account": None}
    assert deliver(client, ours).json()["message"] == "Event processed"


def test_unknown_types_and_sessions_are_answered_200_and_change_nothing(client: Client) -> None:
    _, payment = make_pending()
    assert (
        deliver(
            client, factories.event_of({"object": "invoice", "id": "in_1"}, "invoice.paid")
        ).status_code
        == 200
    )
    stranger = completed(payment, metadata={}, id="cs_of_another_shop")
    assert deliver(client, stranger).json()["message"] == "Unknown session"
    ours_lost = completed(payment, metadata={"payment_id": "not-a-uuid"})
    assert deliver(client, ours_lost).json()["message"] == "Event ignored"
    swapped = completed(payment, id="cs_test_of_somebody_else")
    assert deliver(client, swapped).json()["message"] == "Event ignored"
    assert state(payment) == ("pending", "pending", "", "", 0)
    # One cause, such as another database whose events come here as well, alerts once a day.
    [alert] = Email.objects.filter(kind="staff_alert")
    assert alert.context["lines"][0].startswith("The first one: checkout.session.completed evt_")


def test_a_session_whose_id_never_reached_us_is_found_by_its_metadata(client: Client) -> None:
    _, payment = make_pending()
    event = completed(payment)
    Payment.objects.filter(pk=payment.pk).update(stripe_session_id=None, checkout_url="")
    deliver(client, event)
    assert state(payment) == ("paid", "paid", "", "", 1)
    assert payment.stripe_session_id == event["data"]["object"]["id"]


def test_a_payment_after_the_end_of_the_session_is_honoured_and_flagged(client: Client) -> None:
    _, payment = make_pending()
    deliver(client, expired(payment))
    deliver(client, completed(payment))
    assert state(payment) == ("paid", "paid", "late", "", 1)


def test_a_late_payment_replaces_a_newer_unpaid_checkout(client: Client) -> None:
    first, late = make_pending()
    deliver(client, expired(late))
    _, newer = make_pending(first.course, email=first.email)
    deliver(client, completed(late))
    assert state(late) == ("paid", "paid", "late", "", 1)
    assert state(newer) == ("cancelled", "pending", "", "SUPERSEDED", 0)
    assert newer.expires_at < timezone.now() - settings.PENDING_GRACE, (
        "the next sweep closes its session at Stripe"
    )
    deliver(client, completed(newer))
    assert state(newer) == ("cancelled", "paid", "duplicate", "SUPERSEDED", 0)


def test_a_second_payment_in_a_course_is_kept_flagged_and_never_a_second_enrollment(
    client: Client,
) -> None:
    first, late = make_pending()
    deliver(client, expired(late))
    _, paid = make_pending(first.course, email=first.email)
    deliver(client, completed(paid))
    assert deliver(client, completed(late)).status_code == 200
    assert state(late) == ("expired", "paid", "duplicate", "SESSION_EXPIRED", 0)
    assert state(paid) == ("paid", "paid", "", "", 1)
    assert Email.objects.filter(kind="staff_alert").count() == 1
    assert SyncJob.objects.count() == 1


def test_two_attempts_of_one_enrollment_paid_twice_stay_one_enrollment(client: Client) -> None:
    enrollment, first = make_pending()
    deliver(client, completed(first))
    second = factories.make_payment(enrollment, attempt=2)
    deliver(client, completed(second))
    assert state(second)[:3] == ("paid", "paid", "duplicate")
    assert SyncJob.objects.count() == 1


@pytest.mark.every_engine
def test_an_event_whose_handling_failed_is_kept_and_tried_again_by_redelivery(
    client: Client,
) -> None:
    """A job that somebody wrote by hand makes the handler fail; once it is gone, the same event
    sent again goes through.
    """
    enrollment, payment = make_pending()
    event = completed(payment)
    job = SyncJob.objects.create(
        dedupe_key=f"enroll:{enrollment.pk}",
        platform="frappe",
        email=enrollment.email,
        course_id="x",
    )
    assert deliver(client, event).json()["message"] == "Event stored, to be processed"
    stored = StripeEvent.objects.get()
    assert (stored.status, stored.attempts) == ("pending", 1)
    assert state(payment) == ("pending", "pending", "", "", 1)
    job.delete()
    assert deliver(client, event).json()["message"] == "Event processed"
    assert state(payment) == ("paid", "paid", "", "", 1)
    stored.refresh_from_db()
    assert stored.status == "done"


def test_either_of_two_secrets_is_accepted_while_one_is_rolled(client: Client) -> None:
    _, payment = make_pending()
    body = json.dumps(completed(payment))
    old = settings.STRIPE_WEBHOOK_SECRETS[0]
    try:
        settings.STRIPE_WEBHOOK_SECRETS = ["whsec_new", old]
        assert deliver(client, body, header=factories.signed(body, secret=old)).status_code == 200
        other = json.dumps(completed(payment))
        assert (
            deliver(client, other, header=factories.signed(other, secret="whsec_new")).status_code
            == 200
        )
    finally:
        settings.STRIPE_WEBHOOK_SECRETS = [old]


def _header_cases(body: str) -> dict[str, str]:
    now = int(time.time())
    good = factories.signed(body)
    return {
        "missing": "",
        "garbage": "abc",
        "non-ascii": f"t={now},v1=é",
        "empty v1": "v1=",
        "no time": "t=abc,v1=00",
        "other secret": factories.signed(body, secret="whsec_other"),
        "ten minutes old": factories.signed(body, timestamp=now - 600),
        "ten days ahead": factories.signed(body, timestamp=now + 864_000),
        "two times": f"t=x,{good}",
        "empty secret": factories.signed(body, secret="x"),
    }


@pytest.mark.parametrize("case", list(_header_cases("{}")))
def test_what_stripe_did_not_sign_is_refused_and_leaves_no_row(client: Client, case: str) -> None:
    _, payment = make_pending()
    body = json.dumps(completed(payment))
    answer = deliver(client, body, header=_header_cases(body)[case])
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_SIGNATURE")
    assert StripeEvent.objects.count() == 0
    assert state(payment) == ("pending", "pending", "", "", 0)


def test_a_changed_body_is_refused(client: Client) -> None:
    _, payment = make_pending()
    body = json.dumps(completed(payment))
    assert (
        deliver(client, body + "\n", header=factories.signed(body)).json()["code"]
        == "INVALID_SIGNATURE"
    )
    assert StripeEvent.objects.count() == 0


BODIES = {
    "list": "[]",
    "null": "null",
    "number": "1",
    "string": '"evt"',
    "empty object": "{}",
    "no data": '{"id": "evt_1", "object": "event", "type": "x", "livemode": false}',
    "empty": "",
    "broken": '{"id":',
    "deep": "[" * 100_000,
    "thin without a type": '{"id": "evt_1", "object": "v2.core.event", "livemode": false}',
    "data list": (
        '{"id": "evt_1", "object": "event", "type": "x", "livemode": false, "data": {"object": []}}'
    ),
    "livemode text": (
        '{"id": "evt_1", "object": "event", "type": "x", "livemode": "no", "data": {"object": {}}}'
    ),
    "id number": (
        '{"id": 1, "object": "event", "type": "x", "livemode": false, "data": {"object": {}}}'
    ),
    "nul": (
        '{"id": "evt_\\u0000", "object": "event", "type": "x", "livemode": false, "data":'
        ' {"object": {}}}'
    ),
    "surrogate": (
        '{"id": "evt_\\ud800", "object": "event", "type": "x", "livemode": false, "data":'
        ' {"object": {}}}'
    ),
}


@pytest.mark.parametrize("case", BODIES)
def test_signed_nonsense_is_refused_with_a_code(client: Client, case: str) -> None:
    answer = deliver(client, BODIES[case])
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_EVENT")
    assert StripeEvent.objects.count() == 0


def test_a_signed_body_that_is_not_utf8_is_refused(client: Client) -> None:
    answer = client.post(
        "/api/webhook",
        data=b"\xff\xfe",
        content_type="application/json",
        headers={"Stripe-Signature": "t=1,v1=00"},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_SIGNATURE")


def test_a_body_over_the_limit_is_refused_before_anything_is_computed(client: Client) -> None:
    answer = deliver(client, "x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1), header="t=1,v1=00")
    assert (answer.status_code, answer.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")


WEBHOOK_NAMED = re.compile(r"(?<=[>T`])/(?:api/webhook|webhooks/stripe)(?!/sendgrid)/?")
ADDRESSES = ("/api/webhook", "/api/webhook/", "/webhooks/stripe", "/webhooks/stripe/")


@pytest.mark.parametrize("path", ADDRESSES)
def test_an_event_is_taken_at_each_address_without_a_redirect(client: Client, path: str) -> None:
    enrollment, payment = make_pending()
    answer = deliver(client, completed(payment), path=path)
    assert (answer.status_code, answer.json()["message"]) == (200, "Event processed")
    enrollment.refresh_from_db()
    assert enrollment.status == "paid"


@pytest.mark.parametrize(
    "path", ["/api/webhook//", "/api/webhook%0A", "/api/webhooks", "/x/api/webhook"]
)
def test_no_address_near_the_webhooks_takes_an_event(client: Client, path: str) -> None:
    _, payment = make_pending()
    assert deliver(client, completed(payment), path=path).status_code == 404
    assert StripeEvent.objects.count() == 0


def test_one_address_of_the_webhook_is_named_everywhere() -> None:
    assert reverse("api_webhook") == "/api/webhook"
    named = {
        found
        for path in (".env.example", "README.md", "docs/deployment.md", "docs/runbook.md")
        for found in WEBHOOK_NAMED.findall((settings.BASE_DIR / path).read_text())
    }
    assert named == {"/api/webhook"}


@pytest.mark.parametrize("method", ["get", "put", "head", "delete", "patch", "options"])
def test_only_post_is_answered(client: Client, method: str) -> None:
    assert getattr(client, method)("/api/webhook").status_code == 405
