"""Faults of the mail server, and of the addresses that mail goes to."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.notifications.smtp import MailServer
from tests.system.silence.fault import NO_MAIL, Fault
from tests.system.silence.stage import Stage


def server_answers(stage_of_dialogue: str, answer: str) -> Callable[..., AbstractContextManager]:
    """Return what has the mail server refuse what we send at one stage."""

    @contextmanager
    def make(stage: Stage) -> Iterator[None]:
        server = MailServer(needs_login=True)
        server.start()
        stage.at_end.callback(server.stop)
        stage.restart_worker(
            EMAIL_PORT=str(server.port), EMAIL_HOST_USER="shop", EMAIL_HOST_PASSWORD="key"
        )
        server.answers[stage_of_dialogue] = answer
        yield
        server.answers.clear()

    return make


def sandbox_fault(
    target: str, mode: str, match: str = "", **more: object
) -> Callable[..., AbstractContextManager]:
    """Return what switches a fault of the sandbox on, and off again."""

    @contextmanager
    def make(stage: Stage) -> Iterator[None]:
        stage.sandbox.fault(target, mode, match, **more)
        yield
        stage.sandbox.heal(target)

    return make


@contextmanager
def bounced(stage: Stage) -> Iterator[None]:
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    stage.restart_web(SENDGRID_WEBHOOK_KEY=base64.b64encode(public).decode())
    moment = str(int(stage.clock.time()))
    event = {
        "event": "bounce",
        "email": "buyer1@example.com",
        "timestamp": int(moment),
        "sg_event_id": "event-1",
        "reason": "550 5.1.1 No such user",
    }
    body = json.dumps([event]).encode()
    signature = key.sign(moment.encode() + body, ec.ECDSA(hashes.SHA256()))
    headers = {
        "Content-Type": "application/json",
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
        "X-Twilio-Email-Event-Webhook-Timestamp": moment,
    }
    answer = requests.post(
        f"{stage.url}/api/webhook/sendgrid", data=body, headers=headers, timeout=10
    )
    assert answer.status_code == 200, answer.text
    yield


REFUSES = "No e-mail leaves: the mail server refuses what we send"
AWAY = "No e-mail leaves: the mail server is unavailable"
FAULTS = [
    Fault(
        "the mail server refuses our login",
        server_answers("login", "535 5.7.8 Username and password not accepted"),
        alert=REFUSES,
        ways=NO_MAIL,
        ends=f"Recovered: {REFUSES}",
    ),
    Fault(
        "the day's quota of mails is used up",
        server_answers("DATA", "550 5.4.5 Daily user sending limit exceeded"),
        alert=REFUSES,
        ways=NO_MAIL,
        ends=f"Recovered: {REFUSES}",
    ),
    Fault(
        "the mail server is down",
        sandbox_fault("smtp", "down"),
        alert=AWAY,
        ways=NO_MAIL,
        ends=f"Recovered: {AWAY}",
    ),
    Fault(
        "the mail server hangs",
        sandbox_fault("smtp", "hang", seconds=3),
        alert=AWAY,
        ways=NO_MAIL,
        ends=f"Recovered: {AWAY}",
    ),
    Fault(
        "mails to a learner come back",
        bounced,
        alert="E-mails to an address do not arrive: came back",
    ),
    Fault(
        "the mail server refuses one learner's address",
        sandbox_fault("smtp", "reject", "RCPT buyer3@example.com"),
        alert="An e-mail could not be delivered (purchase_confirmation)",
    ),
]
