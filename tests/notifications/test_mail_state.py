"""While the mail server takes nothing from us the whole queue waits, and staff are alerted."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from maaledu.work.queue import drain
from notifications import mail_state, outgoing
from notifications.models import Alert, AlertNotice, Email, MailState
from notifications.queue import EMAILS
from tests.concurrency import race, winners
from tests.notifications.smtp import MailServer
from tests.notifications.test_delivery import AN_HOUR_AGO, running, stage

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
QUOTA = "550 5.4.5 Daily user sending limit exceeded"


@pytest.fixture
def server(settings: Settings) -> Iterator[MailServer]:
    yield from running(MailServer(), settings)


def let_pass(pause: timedelta) -> None:
    """Move what there is into the past by a pause."""
    state = MailState.objects.get()
    moved = {"retry_at": state.retry_at, "since": state.since}
    MailState.objects.update(**{name: at - pause for name, at in moved.items() if at})
    for email in Email.objects.filter(status="pending"):
        Email.objects.filter(pk=email.pk).update(next_attempt_at=email.next_attempt_at - pause)


def stage_all(number: int) -> None:
    for each in range(number):
        stage(f"learner{each}", kind=outgoing.STAFF_ALERT)


def test_the_whole_queue_waits_and_all_of_it_arrives_with_no_attempt_used(
    server: MailServer,
) -> None:
    """Fault E1: a quota of ours made each message a dead letter."""
    server.answers["MAIL"] = QUOTA
    stage_all(25)
    drain(EMAILS)
    assert server.tries == 1
    for _ in range(4):
        let_pass(timedelta(minutes=11))
        drain(EMAILS)
    assert server.tries == 5
    assert set(Email.objects.values_list("status", "attempts")) == {("pending", 0)}
    server.answers.clear()
    let_pass(timedelta(minutes=11))
    drain(EMAILS)
    drain(EMAILS)
    others = [f"learner{n}@example.com" for n in range(25)]
    assert sorted(server.taken) == sorted([*others, "staff@maaledu.example"])  # that it is over
    assert set(Email.objects.values_list("status", "attempts")) == {("done", 0)}


def test_the_pause_doubles_up_to_ten_minutes(server: MailServer) -> None:
    server.answers["MAIL"] = QUOTA
    stage()
    pauses = []
    for _ in range(6):
        drain(EMAILS)
        state = MailState.objects.get()
        pauses.append(round((state.retry_at - timezone.now()) / timedelta(minutes=1)))
        let_pass(timedelta(minutes=11))
    assert pauses == [1, 2, 4, 8, 10, 10]


def test_a_refusal_of_ours_alerts_once_by_another_way_and_says_when_it_is_over(
    server: MailServer, settings: Settings
) -> None:
    settings.SLACK_WEBHOOK_URL = "http://127.0.0.1:1/slack"
    server.answers["MAIL"] = QUOTA
    email = stage()
    for _ in range(3):
        drain(EMAILS)
        let_pass(timedelta(minutes=11))
    alert = Alert.objects.get()
    assert alert.subject == "No e-mail leaves: the mail server refuses what we send"
    assert "5.4.5 Daily user sending limit exceeded" in alert.lines[0]
    assert list(AlertNotice.objects.values_list("channel", "action")) == [("slack", "trigger")]
    assert list(Email.objects.all()) == [email]
    server.answers.clear()
    drain(EMAILS, limit=1)
    assert MailState.objects.get().state == "answering"
    assert Alert.objects.get().recovered_at is not None
    assert sorted(AlertNotice.objects.values_list("action", flat=True)) == ["resolve", "trigger"]
    recovered = Email.objects.get(kind=outgoing.STAFF_ALERT)
    assert recovered.context["subject"].startswith("Recovered: No e-mail leaves")


def test_an_outage_alerts_after_two_minutes_and_not_before(settings: Settings) -> None:
    """Fault E3: a refused connection logged a warning a minute, and nobody was alerted."""
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    stage()
    drain(EMAILS)
    assert not Alert.objects.exists()
    let_pass(timedelta(minutes=3))
    drain(EMAILS)
    assert Alert.objects.get().subject == "No e-mail leaves: the mail server is unavailable"
    assert MailState.objects.get().state == "unavailable"


def test_one_message_alone_cannot_stop_the_others_twice(server: MailServer) -> None:
    """What the words call ours may be about one message after all."""
    server.answers["learner0@example.com"] = "554 5.7.1 Relay access denied"
    stage("learner0")  # a sign-in code, which is first each time
    drain(EMAILS)
    for name in ("learner1", "learner2", "learner3"):
        stage(name, kind=outgoing.STAFF_ALERT)
    assert server.taken == []
    let_pass(timedelta(minutes=2))
    drain(EMAILS)
    drain(EMAILS)
    others = [f"learner{n}@example.com" for n in (1, 2, 3)]
    assert sorted(server.taken) == [*others, "staff@maaledu.example"]  # that it is over
    odd = Email.objects.get(to="learner0@example.com")
    assert (odd.status, odd.is_suspected, odd.attempts) == ("pending", True, 1)
    assert MailState.objects.get().state == "answering"


@pytest.mark.every_engine
def test_an_answer_about_an_address_ends_no_pause_and_the_next_message_is_tried_at_once(
    server: MailServer,
) -> None:
    server.answers["DATA"] = QUOTA
    stage_all(2)
    drain(EMAILS)
    server.answers["learner1@example.com"] = "550 5.1.1 No such user"
    let_pass(timedelta(minutes=2))
    drain(EMAILS, limit=1)
    assert Email.objects.get(to="learner1@example.com").status == "dead"
    assert MailState.objects.get().state == "refusing"
    server.answers.clear()
    drain(EMAILS, limit=1)
    assert server.taken == ["learner0@example.com"]


@pytest.mark.every_engine
def test_one_process_of_many_tries(server: MailServer) -> None:
    server.answers["MAIL"] = QUOTA
    stage_all(6)
    drain(EMAILS)
    let_pass(timedelta(minutes=2))
    state, now = MailState.objects.get(), timezone.now()
    assert winners(race(lambda _: mail_state.take_try(state, now), threads=6)) == 1


def test_staff_have_it_tried_at_once(server: MailServer) -> None:
    server.answers["MAIL"] = QUOTA
    stage_all(2)
    drain(EMAILS)
    server.answers.clear()
    assert drain(EMAILS) == 0
    assert mail_state.try_now(MailState.objects.get())
    drain(EMAILS)
    drain(EMAILS)
    assert {"learner0@example.com", "learner1@example.com"} <= set(server.taken)
    assert not mail_state.try_now(MailState.objects.get())


@pytest.mark.every_engine
def test_sign_in_codes_are_tried_first_after_a_pause(server: MailServer) -> None:
    server.answers["MAIL"] = QUOTA
    stage_all(3)
    drain(EMAILS)
    stage("code")
    Email.objects.exclude(kind=outgoing.ACCOUNT).update(next_attempt_at=AN_HOUR_AGO)
    server.answers.clear()
    let_pass(timedelta(minutes=2))
    drain(EMAILS, limit=1)
    assert server.taken == ["code@example.com"]


@pytest.mark.every_engine
def test_a_server_that_never_says_whether_it_has_taken_a_message_is_sent_one_at_a_time(
    server: MailServer,
) -> None:
    """It hangs up after it has all of a message: for everybody, for half a day."""
    server.silent_at = "DATA"
    stage_all(3)
    stage("code")
    for _ in range(12):
        drain(EMAILS)
        let_pass(timedelta(minutes=61))
    assert server.tries == 12
    of_learners = Email.objects.exclude(to="staff@maaledu.example")
    tried = [("pending", 2), ("pending", 2), ("pending", 2), ("pending", 6)]  # a code comes first
    assert sorted(of_learners.values_list("status", "attempts")) == tried
    assert Alert.objects.get().subject == "No e-mail leaves: the mail server is unavailable"
    server.silent_at = ""
    server.taken.clear()  # what it had, and never said
    for _ in range(3):
        drain(EMAILS)
        let_pass(timedelta(minutes=61))
    everybody = [f"{name}@example.com" for name in ("code", "learner0", "learner1", "learner2")]
    assert sorted(server.taken) == sorted([*everybody, "staff@maaledu.example"])


@pytest.mark.every_engine
def test_one_message_that_a_server_never_answers_for_delays_the_others_by_a_minute_and_is_given_up(
    server: MailServer,
) -> None:
    server.silent_at = "DATA ada@example.com"
    stage("ada")
    for number in range(8):
        stage(f"learner{number}")
        drain(EMAILS)
        let_pass(timedelta(minutes=61))
        drain(EMAILS)
    ada = Email.objects.get(to="ada@example.com")
    assert (ada.status, ada.attempts, ada.is_suspected) == ("dead", 8, False)
    others = [each for each in server.taken if each.startswith("learner")]
    assert others == [f"learner{number}@example.com" for number in range(8)]
    [alert] = Alert.objects.filter(kind="dead-email")
    assert "MAIL_UNCERTAIN" in alert.lines[1]
