"""What a live server answers to webhooks: to forged ones, to many at once, to ones that mean
something else than we sold.
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from enrollments.models import Enrollment
from lms_sync.models import SyncJob
from notifications.models import Email
from payments.models import WebhookProblem
from tests.factories import completed, event_of, make_pending, session_of, signed
from tests.sandbox_client import Sandbox
from tests.system.books import assert_bought_once, wait_settled
from tests.system.shop import Shop

pytestmark = [pytest.mark.django_db, pytest.mark.engines("sqlite", "postgres")]
WEBHOOK = "/api/webhook"
EVENT = '{"id": "evt_1", "object": "event", "type": "x", "livemode": false, "data": {"object": {}}}'


def headers_of(signature: str) -> dict[str, str]:
    return {"Content-Type": "application/json", "Stripe-Signature": signature}


def now(seconds: int = 0) -> int:
    return int(time.time()) + seconds


DEEP = "[" * 100_000 + "]" * 100_000
FORGERIES = {
    "no signature": (EVENT, None),
    "an empty one": (EVENT, ""),
    "one that is not ASCII": (EVENT, "t=1,v1=é"),
    "no time": (EVENT, "t=abc,v1=00"),
    "nothing after v1": (EVENT, "v1="),
    "another secret's": (EVENT, lambda body: signed(body, secret="whsec_of_somebody_else")),
    "one of ten minutes ago": (EVENT, lambda body: signed(body, timestamp=now(-600))),
    "one of ten days ahead": (EVENT, lambda body: signed(body, timestamp=now(864_000))),
    "another body's": (EVENT + "\n", lambda body: signed(body.rstrip())),
    "its own, nested 100,000 deep": (DEEP, signed),
    "its own, a list": ("[]", signed),
    "its own, null": ("null", signed),
    "its own, a number": ("1", signed),
    "its own, no object": ('{"id": "evt_1", "type": "x"}', signed),
    "its own, a lone surrogate": (EVENT.replace("evt_1", "\\ud800"), signed),
    "its own, NUL": (EVENT.replace("evt_1", "\\u0000"), signed),
    "its own, a thin event without a type": (
        '{"id": "evt_1", "object": "v2.core.event", "livemode": false}',
        signed,
    ),
}


@pytest.mark.parametrize("path", [WEBHOOK, "/webhooks/stripe/"])
def test_a_webhook_that_stripe_did_not_sign_or_mean_is_refused(
    shop: Shop, port: int, path: str
) -> None:
    answers = {}
    for name, (body, sign) in FORGERIES.items():
        signature = sign(body) if callable(sign) else sign
        headers = {} if signature is None else {"Stripe-Signature": signature.encode()}
        answer = requests.post(shop.url + path, data=body.encode(), headers=headers, timeout=10)
        answers[name] = (answer.status_code, set(answer.json()))
    shape = {"error", "code", "retryable", "details", "timestamp"}
    assert answers == dict.fromkeys(FORGERIES, (400, shape))
    binary = requests.post(
        shop.url + path, data=b"\xff\xfe", headers=headers_of(signed("{}")), timeout=10
    )
    assert binary.status_code == 400
    # Staff are alerted that forgeries repeat themselves; nothing else was stored for them.
    alerts = Email.objects.filter(kind="staff_alert", dedupe_key__contains="webhook:")
    assert {kind for (kind,) in WebhookProblem.objects.values_list("kind")} <= {"secret", "clock"}
    alerts.delete()


@pytest.mark.engines("sqlite")
def test_events_that_are_not_ours_change_nothing_but_the_inbox(
    shop: Shop, sandbox: Sandbox
) -> None:
    enrollment, payment = make_pending()
    wrong = {
        "live": {**completed(payment), "livemode": True},
        "amount": completed(payment, amount_total=1),
        "currency": completed(payment, currency="jpy"),
        "unpaid": completed(payment, payment_status="unpaid"),
        "unknown kind": event_of(session_of(payment), "checkout.session.invented"),
    }
    for name in ("live", "unpaid", "unknown kind"):
        assert post_event(shop, wrong[name]).status_code == 200, name
    assert Enrollment.objects.get().status == "pending"
    assert post_event(shop, wrong["amount"]).status_code == 200
    assert post_event(shop, wrong["currency"]).status_code == 200
    enrollment.refresh_from_db()
    assert (enrollment.status, enrollment.failure_code) == ("failed", "AMOUNT_MISMATCH")
    assert (SyncJob.objects.count(), sandbox.enrollments()) == (0, [])


def post_event(shop: Shop, event: dict) -> requests.Response:
    body = json.dumps(event)
    return requests.post(
        shop.url + WEBHOOK, data=body, headers=headers_of(signed(body)), timeout=20
    )


def test_twenty_deliveries_at_once_of_one_event_have_one_effect(
    shop: Shop, sandbox: Sandbox
) -> None:
    session = shop.check_out("ada@example.com")
    sandbox.webhooks(hold=True)
    sandbox.pay(session)
    event = next(e for e in sandbox.book("events") if e["type"] == "checkout.session.completed")
    assert [delivery["status"] for delivery in sandbox.deliver(event["id"], times=20)] == [200] * 20
    wait_settled(sandbox, 1, 20)
    assert_bought_once(sandbox, ["ada@example.com"])


def test_fifty_replays_at_once_of_a_valid_webhook_are_answered_and_change_nothing(
    shop: Shop, sandbox: Sandbox
) -> None:
    shop.buy("ada@example.com")
    wait_settled(sandbox, 1, 20)
    event = next(e for e in sandbox.book("events") if e["type"] == "checkout.session.completed")
    body = json.dumps(event)
    headers = headers_of(signed(body))

    def replay(_: int) -> tuple[int, str]:
        answer = requests.post(shop.url + WEBHOOK, data=body, headers=headers, timeout=30)
        return answer.status_code, answer.json()["message"]

    with ThreadPoolExecutor(50) as senders:
        answers = set(senders.map(replay, range(50)))
    assert answers == {(200, "Event already processed")}
    assert_bought_once(sandbox, ["ada@example.com"])


@pytest.mark.engines("sqlite")
def test_stripe_is_never_limited(shop: Shop) -> None:
    shop.restart_web(RATE_LIMIT_CHECKOUT="1/15m", RATE_LIMIT_API="1/15m")
    answers = [
        post_event(shop, event_of({"object": "checkout.session", "id": "cs_of_nobody"}))
        for _ in range(20)
    ]
    assert [answer.status_code for answer in answers] == [200] * 20
