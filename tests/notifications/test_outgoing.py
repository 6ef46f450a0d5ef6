from datetime import timedelta
from pathlib import Path

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives, get_connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from maaledu.work.items import replay
from maaledu.work.queue import drain
from notifications import alerts, outgoing
from notifications.models import Email, MailState
from notifications.queue import EMAILS, backoff
from tests.concurrency import race, winners
from tests.sandbox_client import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
CONFIRMATION = {
    "customer_name": "Ada",
    "course_title": "Data & <Analysis>",
    "amount": "$499.00",
    "purchased_on": "November 2, 2026",
    "course_link": "http://lms.example/lms/courses/data",
    "status_link": "http://shop.example/enrollments/x/",
}


def stage(
    key: str = "purchase_confirmation:1", *, to: str = "ada@example.com", **context: object
) -> Email:
    outgoing.stage(
        kind="purchase_confirmation", to=to, dedupe_key=key, context={**CONFIRMATION, **context}
    )
    return Email.objects.get(dedupe_key=key)


def let_an_hour_pass() -> None:
    Email.objects.update(next_attempt_at=timezone.now())
    MailState.objects.filter(retry_at__isnull=False).update(retry_at=timezone.now())


def test_a_cause_has_one_message_however_often_it_is_staged(sandbox: Sandbox) -> None:
    for _ in range(3):
        stage()
    drain(EMAILS)
    stage()
    assert drain(EMAILS) == 0
    assert len(sandbox.mails("ada@example.com")) == 1


@pytest.mark.every_engine
def test_many_who_stage_one_cause_at_once_make_one_message() -> None:
    message = {"kind": "purchase_confirmation", "to": "ada@example.com", "context": CONFIRMATION}
    results = race(
        lambda _: outgoing.stage(dedupe_key="purchase_confirmation:1", **message), threads=12
    )
    assert winners(results) == Email.objects.count() == 1


def test_a_message_has_text_html_and_a_stable_id(sandbox: Sandbox) -> None:
    email = stage()
    drain(EMAILS)
    mail = sandbox.mails()[0]
    assert "Data & <Analysis>" in mail["subject"]
    assert "Data & <Analysis>" in mail["text"]
    assert "Data &amp; &lt;Analysis&gt;" in mail["html"]
    assert "November 2, 2026" in mail["text"]
    email.refresh_from_db()
    assert mail["message_id"].strip() == email.message_id == outgoing.message_id(email)
    assert (email.status, email.attempts) == ("done", 0)
    assert email.sent_at is not None


def test_missing_variables_have_safe_defaults() -> None:
    outgoing.stage(
        kind="purchase_confirmation",
        to="a@example.com",
        dedupe_key="bare",
        context={"course_title": None},
    )
    message = outgoing.compose(Email.objects.get())
    assert "Hello there" in message.body
    assert "your course" in message.subject
    assert "None" not in message.body


def test_a_broken_template_is_a_dead_letter_that_staff_hear_of_and_never_a_crash(
    sandbox: Sandbox, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "email").mkdir()
    (tmp_path / "email" / "purchase_confirmation.subject.txt").write_text("{% if %}")
    templates = [{**settings.TEMPLATES[0], "DIRS": [tmp_path, *settings.TEMPLATES[0]["DIRS"]]}]
    whole = settings.TEMPLATES
    settings.TEMPLATES = templates
    email = stage()
    drain(EMAILS)
    email.refresh_from_db()
    assert (email.status, email.last_error.split(":")[0]) == ("dead", "EMAIL_TEMPLATE_BROKEN")
    assert Email.objects.filter(kind="staff_alert").count() == 1
    settings.TEMPLATES = whole
    assert replay(email)
    drain(EMAILS)
    assert len(sandbox.mails("ada@example.com")) == 1


def test_an_unknown_kind_is_a_dead_letter_and_the_others_go_on(sandbox: Sandbox) -> None:
    outgoing.stage(kind="no_such_kind", to="a@example.com", dedupe_key="poison", context={})
    stage()
    drain(EMAILS)
    assert Email.objects.get(dedupe_key="poison").status == "dead"
    assert len(sandbox.mails("ada@example.com")) == 1


@pytest.mark.every_engine
def test_a_mail_server_that_is_down_uses_up_no_attempt_and_one_message_arrives_later(
    sandbox: Sandbox,
) -> None:
    email = stage()
    sandbox.fault("smtp", "down")
    for _ in range(3):
        let_an_hour_pass()
        drain(EMAILS, limit=1)
    email.refresh_from_db()
    assert (email.status, email.attempts) == ("pending", 0)
    sandbox.heal()
    sandbox.clear_mails()
    let_an_hour_pass()
    drain(EMAILS)
    assert len(sandbox.mails("ada@example.com")) == 1


@pytest.mark.every_engine
def test_a_server_that_takes_messages_and_never_says_so_gets_a_message_eight_times_at_most(
    sandbox: Sandbox,
) -> None:
    email = stage()
    sandbox.fault("smtp", "drop")
    for _ in range(10):
        Email.objects.filter(pk=email.pk).update(next_attempt_at=timezone.now())
        MailState.objects.update(retry_at=timezone.now())
        drain(EMAILS, limit=1)
    email.refresh_from_db()
    assert (email.status, email.attempts, email.last_error.split(":")[0]) == (
        "dead",
        8,
        "MAIL_UNCERTAIN",
    )
    arrived = sandbox.mails("ada@example.com")
    assert len(arrived) == 8
    assert {mail["message_id"].strip() for mail in arrived} == {outgoing.message_id(email)}


def test_a_refused_address_is_a_dead_letter_at_once(sandbox: Sandbox) -> None:
    email = stage()
    sandbox.fault("smtp", "reject", times=1)
    drain(EMAILS, limit=1)
    email.refresh_from_db()
    assert (email.status, email.attempts, email.last_error.split(":")[0]) == (
        "dead",
        1,
        "MAIL_REFUSED",
    )


def test_greylisting_is_tried_again_and_uses_an_attempt(sandbox: Sandbox) -> None:
    email = stage()
    sandbox.fault("smtp", "greylist", times=1)
    drain(EMAILS, limit=1)
    email.refresh_from_db()
    assert (email.status, email.attempts) == ("pending", 1)
    assert email.next_attempt_at > timezone.now() + timedelta(seconds=50)


def test_attempts_end_after_eight_with_growing_pauses() -> None:
    for used, minutes in enumerate((1, 2, 4, 8, 16, 32, 60), 1):
        pause = backoff(used)
        assert pause is not None
        assert 0.89 * minutes < pause.total_seconds() / 60 < 1.11 * minutes
    assert backoff(8) is None


@pytest.mark.every_engine
def test_a_dead_alert_begets_no_alert() -> None:
    alerts.alert_staff(key="x", subject="Something", lines=["a line"])
    Email.objects.update(kind="staff_alert", context={"lines": 7})
    drain(EMAILS, limit=1)
    assert Email.objects.count() == 1


def test_a_cause_alerts_each_member_of_staff_once(settings: Settings) -> None:
    settings.STAFF_ALERT_EMAILS = ["one@example.com", "two@example.com"]
    for _ in range(2):
        alerts.alert_staff(key="fire", subject="Fire", lines=["in the cellar"])
    assert sorted(Email.objects.values_list("to", flat=True)) == [
        "one@example.com",
        "two@example.com",
    ]


@pytest.mark.every_engine
def test_the_allowance_of_a_minute_is_kept(sandbox: Sandbox, settings: Settings) -> None:
    """Requirement R143."""
    settings.EMAIL_MAX_PER_MINUTE = 2
    for number in range(4):
        stage(f"n{number}", to=f"n{number}@example.com")
    assert drain(EMAILS) == 2
    assert Email.objects.filter(status="pending").count() == 2
    Email.objects.update(sent_at=timezone.now() - timedelta(minutes=2))
    Email.objects.filter(status="pending").update(sent_at=None)
    assert drain(EMAILS) == 2


def test_mail_of_the_framework_goes_through_the_outbox_and_its_code_is_forgotten_once_sent(
    sandbox: Sandbox,
) -> None:
    message = EmailMultiAlternatives("Your code", "The code is 123456", to=["a@example.com"])
    message.attach_alternative("<p>The code is 123456</p>", "text/html")
    assert get_connection("notifications.backend.OutboxBackend").send_messages([message]) == 1
    assert sandbox.mails() == []
    drain(EMAILS)
    assert "123456" in sandbox.mails("a@example.com")[0]["text"]
    assert Email.objects.get().context == {}


def test_the_provider_is_exchanged_by_configuration(settings: Settings) -> None:
    """Requirement R007: another backend gets the very same message."""
    settings.EMAIL_DELIVERY_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    stage()
    drain(EMAILS)
    assert [message.to for message in mail.outbox] == [["ada@example.com"]]


def test_long_causes_and_long_addresses_share_no_key(settings: Settings) -> None:
    settings.STAFF_ALERT_EMAILS = [
        f"{'very-' * 12}long-{name}@staff.example.com" for name in ("one", "two")
    ]
    for cause in ("first", "second", "first"):
        alerts.alert_staff(key=f"{'a-cause-' * 10}{cause}", subject="Fire", lines=["in the cellar"])
    assert Email.objects.count() == 4
