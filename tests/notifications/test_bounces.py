"""SendGrid's signed events mark addresses whose e-mails come back; later ones are held."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import Client
from pytest_django.fixtures import Settings

from maaledu.work.items import replay
from maaledu.work.queue import drain
from notifications import bounces, outgoing
from notifications.models import Alert, Email, UndeliverableAddress
from notifications.queue import EMAILS
from tests.notifications.test_outgoing import stage
from tests.sandbox_client import Sandbox

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore::anymail.exceptions.AnymailNotSupportedWarning"),
    pytest.mark.filterwarnings("ignore::anymail.exceptions.AnymailInsecureWebhookWarning"),
    pytest.mark.any_engine,
]
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = base64.b64encode(
    KEY.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
).decode()
PATH = "/api/webhook/sendgrid"
MOMENT = 1793000000


@pytest.fixture(autouse=True)
def _key(settings: Settings) -> None:
    settings.ANYMAIL = {
        **settings.ANYMAIL,
        "SENDGRID_TRACKING_WEBHOOK_VERIFICATION_KEY": PUBLIC,
    }


def post(*events: Any, body: bytes | None = None, key: Any = KEY, **headers: str) -> Any:
    body = json.dumps(events).encode() if body is None else body
    signature = key.sign(f"{MOMENT}".encode() + body, ec.ECDSA(hashes.SHA256()))
    signed = {
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
        "X-Twilio-Email-Event-Webhook-Timestamp": str(MOMENT),
        **headers,
    }
    client = Client(enforce_csrf_checks=True)
    sent = {name: value for name, value in signed.items() if value}
    return client.post(PATH, body, content_type="application/json", headers=sent)


def event(kind: str = "bounce", email: str = "ada@example.com", **more: Any) -> dict[str, Any]:
    return {
        "event": kind,
        "email": email,
        "timestamp": MOMENT,
        "sg_event_id": "event-1",
        "reason": "550 5.1.1 No such user",
        **more,
    }


def test_a_bounce_marks_the_address_once_and_staff_are_alerted() -> None:
    for _ in range(3):
        assert post(event(), event(email="Ada@Example.com")).status_code == 200
    marked = UndeliverableAddress.objects.get()
    assert (marked.email, marked.reason) == ("ada@example.com", "bounced")
    assert (marked.sentence, marked.event_id) == ("550 5.1.1 No such user", "event-1")
    assert Alert.objects.get().subject == "E-mails to an address do not arrive: came back"


def test_later_mails_are_held_and_sent_when_staff_release_the_address(sandbox: Sandbox) -> None:
    post(event())
    email = stage(to="Ada@example.com")
    drain(EMAILS)
    email.refresh_from_db()
    assert (email.status, email.last_error.split(":")[0]) == ("dead", "MAIL_HELD")
    assert Alert.objects.count() == 1
    assert sandbox.mails("Ada@example.com") == []
    assert replay(email)
    drain(EMAILS)
    assert sandbox.mails("Ada@example.com") == []
    address = UndeliverableAddress.objects.get()
    assert (bounces.release(address), bounces.release(address)) == (True, False)
    drain(EMAILS)
    assert len(sandbox.mails("Ada@example.com")) == 1
    assert not bounces.undeliverable("ada@example.com")


@pytest.mark.every_engine
@pytest.mark.parametrize(
    ("kind", "more", "reason"),
    [
        ("bounce", {"type": "bounce"}, "bounced"),
        ("bounce", {}, "bounced"),
        ("bounce", {"type": "blocked"}, None),
        ("bounce", {"type": "expired"}, None),
        ("dropped", {"reason": "Bounced Address"}, "dropped"),
        ("dropped", {"reason": "Invalid"}, "dropped"),
        ("dropped", {"reason": "Spam Reporting Address"}, "dropped"),
        ("dropped", {"reason": "Unsubscribed Address"}, None),
        ("spamreport", {}, "complained"),
        ("deferred", {}, None),
        ("delivered", {}, None),
        ("processed", {}, None),
        ("open", {}, None),
        ("something_new", {}, None),
    ],
)
def test_only_what_is_about_the_address_marks_it(
    kind: str, more: dict[str, str], reason: str | None
) -> None:
    assert post(event(kind, **more)).status_code == 200
    found = UndeliverableAddress.objects.first()
    assert (found.reason if found else None) == reason


@pytest.mark.every_engine
def test_a_later_delivery_releases_the_address_and_an_earlier_one_does_not() -> None:
    post(event())
    post(event("delivered", timestamp=MOMENT - 60))
    assert bounces.undeliverable("ada@example.com")
    post(event("delivered", timestamp=MOMENT + 60))
    assert not bounces.undeliverable("ada@example.com")


@pytest.mark.every_engine
def test_a_bounce_holds_what_goes_to_an_address_that_was_only_refused_so_far() -> None:
    assert bounces.note_refused(Email(to="Ada@example.com", last_error="MAIL_REFUSED: no"))
    assert Alert.objects.count() == 0
    assert UndeliverableAddress.objects.get().sentence == "no"
    post(event(), event())
    assert UndeliverableAddress.objects.get().reason == "bounced"
    assert Alert.objects.count() == 1


SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
STAMP = "X-Twilio-Email-Event-Webhook-Timestamp"


@pytest.mark.parametrize(
    "wrong",
    [
        {SIGNATURE: ""},
        {STAMP: ""},
        {SIGNATURE: "bm90IGEgc2lnbmF0dXJl"},
        {SIGNATURE: "n"},
        {STAMP: "1793000001"},
        {"key": ec.generate_private_key(ec.SECP256R1())},
    ],
)
def test_what_is_not_signed_marks_nobody(wrong: dict[str, Any]) -> None:
    answer = post(event(), **wrong)
    assert (answer.status_code, answer.json()["code"]) == (401, "MAIL_WEBHOOK_NOT_SIGNED")
    assert not UndeliverableAddress.objects.exists()


@pytest.mark.every_engine
def test_without_a_key_the_address_is_closed(settings: Settings) -> None:
    settings.ANYMAIL = {"SENDGRID_API_KEY": ""}
    assert post(event()).json()["code"] == "MAIL_WEBHOOK_NOT_SIGNED"
    assert not UndeliverableAddress.objects.exists()


@pytest.mark.parametrize("body", [b"{", b"7", b"[7]", b"[{}]", b"null", b'"x"', b"\xff"])
def test_what_cannot_be_read_is_refused(body: bytes) -> None:
    answer = post(body=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("email", [None, "", "x" * 300, 7, ["a"], "a\x00b@example.com"])
def test_an_odd_recipient_harms_nobody(email: Any) -> None:
    assert post(event(email=email), event(email="bob@example.com")).status_code == 200
    assert bounces.undeliverable("bob@example.com")


def test_held_codes_are_not_sent_either() -> None:
    post(event())
    outgoing.stage(
        kind=outgoing.ACCOUNT,
        to="ada@example.com",
        dedupe_key="code",
        context={"subject": "Your code", "text": "123456"},
    )
    drain(EMAILS)
    assert Email.objects.get(dedupe_key="code").status == "dead"
