"""A real mail server answers at each stage: what becomes of the message and of the queue."""

import base64
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from maaledu.work.queue import drain
from notifications import bounces, outgoing
from notifications.models import Alert, Email, MailState
from notifications.queue import EMAILS
from tests.notifications.smtp import MailServer
from tests.processes import free_port

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]


@pytest.fixture
def server(settings: Settings) -> Iterator[MailServer]:
    yield from running(MailServer(), settings)


@pytest.fixture
def login_server(settings: Settings) -> Iterator[MailServer]:
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "shop", "pa55-word"
    yield from running(MailServer(needs_login=True), settings)


def running(server: MailServer, settings: Settings) -> Iterator[MailServer]:
    server.start()
    settings.EMAIL_HOST, settings.EMAIL_PORT = (
        "127.0.0.1",
        server.port,
    )
    settings.EMAIL_TIMEOUT = 2
    server.tries = 0  # as it starts, it calls itself
    yield server
    server.stop()


def stage(name: str = "ada", kind: str = outgoing.ACCOUNT) -> Email:
    outgoing.stage(
        kind=kind,
        to=f"{name}@example.com",
        dedupe_key=f"{kind}:{name}",
        context={"subject": "Your code", "text": "The code is 123456", "lines": ["A line."]},
    )
    return Email.objects.get(dedupe_key=f"{kind}:{name}")


def result(email: Email) -> tuple[str, int, str]:
    email.refresh_from_db()
    return email.last_error.split(":")[0], email.attempts, email.status


AN_HOUR_AGO = timezone.now() - timedelta(hours=1)
US = ("MAIL_NOT_ALLOWED", 0, "pending")
PASSING = ("MAIL_UNAVAILABLE", 0, "pending")


@pytest.mark.every_engine
@pytest.mark.parametrize(
    ("at", "answer", "expected", "state"),
    [
        ("connect", "554 5.7.1 No SMTP service here", US, "refusing"),
        ("connect", "421 4.3.2 Closing for maintenance", PASSING, "unavailable"),
        ("MAIL", "550 5.4.5 Daily user sending limit exceeded", US, "refusing"),
        ("MAIL", "530 5.7.0 Authentication Required", US, "refusing"),
        ("MAIL", "553 5.7.1 Sender address rejected: not owned by user", US, "refusing"),
        ("MAIL", "452 4.3.1 Insufficient system storage", PASSING, "unavailable"),
        ("RCPT", "554 5.7.1 Relay access denied", US, "refusing"),
        ("RCPT", "550 5.1.1 No such user", ("MAIL_REFUSED", 1, "dead"), None),
        ("RCPT", "450 4.2.0 Greylisted", ("MAIL_DEFERRED", 1, "pending"), None),
        ("RCPT", "421 4.7.0 Too many connections", PASSING, "unavailable"),
        ("DATA", "554 Sending limit exceeded", US, "refusing"),
        ("DATA", "550 5.7.26 Unauthenticated: DMARC", US, "refusing"),
        ("DATA", "554 5.7.1 Classified as spam", ("MAIL_REFUSED", 1, "dead"), None),
        ("DATA", "451 4.4.2 Timeout", PASSING, "unavailable"),
    ],
)
def test_each_answer_at_each_stage_has_its_consequence(
    server: MailServer, at: str, answer: str, expected: tuple, state: str | None
) -> None:
    """Fault E1: no message is dead, and no attempt used, for what is about us."""
    server.answers[at] = answer
    email = stage()
    drain(EMAILS, limit=1)
    assert result(email) == expected
    assert answer.partition(" ")[2].split()[-1] in email.last_error
    found = MailState.objects.first()
    assert (found.state if found else None) == state
    assert server.taken == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("535 5.7.8 Username and Password not accepted", US),
        ("534 5.7.9 Application-specific password required", US),
        ("454 4.7.0 Temporary authentication failure", PASSING),
    ],
)
def test_a_login_that_is_refused_is_about_us(
    login_server: MailServer, answer: str, expected: tuple
) -> None:
    login_server.answers["login"] = answer
    email = stage()
    drain(EMAILS, limit=1)
    assert result(email) == expected


def test_a_login_that_is_accepted_sends(login_server: MailServer) -> None:
    email = stage()
    drain(EMAILS, limit=1)
    assert (result(email), login_server.taken) == (("", 0, "done"), ["ada@example.com"])


def test_a_server_without_a_login_to_offer_is_about_us(
    server: MailServer, settings: Settings
) -> None:
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "shop", "pa55-word"
    email = stage()
    drain(EMAILS, limit=1)
    assert result(email) == US
    assert "EMAIL_HOST_PASSWORD" in email.last_error


@pytest.mark.parametrize("switch", ["EMAIL_USE_TLS", "EMAIL_USE_SSL"])
def test_a_server_without_the_tls_that_is_asked_for_is_about_us(
    server: MailServer, settings: Settings, switch: str
) -> None:
    setattr(settings, switch, True)
    email = stage()
    drain(EMAILS, limit=1)
    assert result(email) == US
    assert "EMAIL_USE_TLS" in email.last_error


def test_a_port_nobody_listens_on_is_an_outage(settings: Settings) -> None:
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    email = stage()
    drain(EMAILS, limit=1)
    assert result(email) == PASSING


@pytest.mark.parametrize(
    ("stage_of_it", "expected"),
    [
        ("MAIL", PASSING),
        ("RCPT", PASSING),
        ("354", PASSING),
        ("DATA", ("MAIL_UNCERTAIN", 1, "pending")),
    ],
)
def test_a_lost_connection_uses_an_attempt_only_where_the_message_may_have_arrived(
    server: MailServer, stage_of_it: str, expected: tuple
) -> None:
    server.silent_at = stage_of_it
    email = stage()
    drain(EMAILS, limit=1)
    assert result(email) == expected


def test_the_servers_sentence_is_kept_without_our_password(login_server: MailServer) -> None:
    sent = base64.b64encode(b"\0shop\0pa55-word").decode()
    login_server.answers["login"] = f"535 5.7.8 Rejected: AUTH PLAIN {sent} pa55-word"
    email = stage()
    drain(EMAILS, limit=1)
    result(email)
    assert "5.7.8 Rejected" in email.last_error
    kept = [email.last_error, MailState.objects.get().last_error, *Alert.objects.get().lines]
    assert not [text for text in kept if "pa55" in text or sent in text]


def test_sign_in_codes_go_before_everything_else(server: MailServer) -> None:
    """Fault E1: two priorities, however long the others have waited."""
    for name in ("one", "two", "three"):
        stage(name, kind=outgoing.STAFF_ALERT)
    stage("code")
    Email.objects.exclude(kind=outgoing.ACCOUNT).update(next_attempt_at=AN_HOUR_AGO)
    drain(EMAILS, limit=1)
    assert server.taken == ["code@example.com"]
    drain(EMAILS)
    assert len(server.taken) == 4


@pytest.mark.parametrize("answer", ["550 5.1.1 No such user", "452 4.2.2 Mailbox full"])
def test_an_address_that_is_refused_is_not_said_to_have_our_mail_until_it_takes_one(
    server: MailServer, answer: str
) -> None:
    """Fault E2: nothing is held, and what was refused goes out with the next that is taken."""
    ada = "ada@example.com"
    server.answers[ada] = answer
    first = stage(kind="payment_processing")
    Email.objects.filter(pk=first.pk).update(attempts=7)  # the next is the last
    drain(EMAILS)
    assert (result(first)[2], server.taken.count(ada)) == ("dead", 0)
    assert "come back" in bounces.why_undeliverable(ada)
    del server.answers[ada]
    second = stage(kind="payment_failed")
    drain(EMAILS)
    assert (result(first)[2], result(second)[2], server.taken.count(ada)) == ("done", "done", 2)
    assert bounces.why_undeliverable(ada) == ""
