"""Green, yellow or red, and why (decisions, "alert levels"; requirement R183)."""

import uuid
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from django.core.management import call_command
from django.utils import timezone

from enrollments import batches
from enrollments.models import BatchRow
from lms_sync.models import DeadLetter, PlatformState, SyncAttempt, SyncJob
from notifications.models import Email, MailState
from operations import heartbeats, levels
from operations.models import Heartbeat
from payments.models import StripeEvent, WebhookProblem
from tests.enrollments.test_batches import list_of, make_batch

# The rows are made up, and nothing but what they are counted by is like in life.
pytestmark = [pytest.mark.django_db, pytest.mark.breaks_invariants, pytest.mark.any_engine]
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _alive(db: None) -> None:
    for name in ("worker", "scheduler", "nightly"):
        heartbeats.note(name)


def found() -> dict[str, str]:
    return {reason.cause: reason.level for reason in levels.assess()}


def job(**fields) -> SyncJob:
    defaults = {"platform": "frappe", "email": "ada@example.com", "course_id": "a-course"}
    return SyncJob.objects.create(dedupe_key=str(uuid.uuid4()), **{**defaults, **fields})


def email(**fields) -> Email:
    return Email.objects.create(
        dedupe_key=str(uuid.uuid4()), kind="account", to="ada@example.com", **fields
    )


def event(**fields) -> StripeEvent:
    return StripeEvent.objects.create(
        event_id="evt_1", type="x", livemode=False, payload={}, **fields
    )


def set_back(name: str, by: timedelta) -> None:
    Heartbeat.objects.filter(name=name).update(at=timezone.now() - by)


def test_where_all_goes_well_there_is_no_reason() -> None:
    assert levels.assess() == []
    assert levels.worst([]) == "green"


@pytest.mark.parametrize(
    ("due", "level"), [(9, None), (10, "yellow"), (100, "yellow"), (101, "red")]
)
def test_the_queue_has_the_levels_that_were_decided(due: int, level: str | None) -> None:
    SyncJob.objects.bulk_create(
        SyncJob(dedupe_key=str(n), platform="frappe", email="a@b.example", course_id="c")
        for n in range(due)
    )
    assert found().get("queues") == level


def test_what_is_due_later_does_not_wait() -> None:
    later = timezone.now() + MINUTE
    for _ in range(12):
        job(next_attempt_at=later)
    assert found() == {}


@pytest.mark.every_engine
def test_one_item_that_is_due_for_five_minutes_is_red_but_not_behind_a_blocked_platform() -> None:
    job(next_attempt_at=timezone.now() - 6 * MINUTE)
    assert found() == {"queues": "red"}
    PlatformState.objects.create(name="frappe", state="open", last_error="HTTP 502")
    assert found() == {"lms_frappe": "red"}


def test_what_waits_at_one_platform_is_late_while_another_is_blocked() -> None:
    PlatformState.objects.create(name="frappe", state="open", last_error="HTTP 502")
    job(next_attempt_at=timezone.now() - 60 * MINUTE)
    since = timezone.now() - 6 * MINUTE
    job(next_attempt_at=since, platform="openedx")
    assert found() == {"lms_frappe": "red", "queues": "red"}
    [late] = [reason for reason in levels.assess() if reason.cause == "queues"]
    assert abs(late.since - since) < timedelta(seconds=1)


def test_e_mails_that_wait_for_the_mail_server_are_no_cause_of_their_own() -> None:
    now = timezone.now()
    email(next_attempt_at=now - 6 * MINUTE)
    assert found() == {"queues": "red"}
    state = MailState.objects.create(name="mail", state="refusing", since=now)
    assert found() == {"mail": "red"}
    job(next_attempt_at=now - 6 * MINUTE)
    assert found() == {"mail": "red", "queues": "red"}
    MailState.objects.filter(pk=state.pk).update(state="answering", since=None)
    SyncJob.objects.all().delete()
    assert found() == {"queues": "red"}


@pytest.mark.every_engine
def test_the_rows_of_a_list_that_wait_for_their_turn_are_not_due(settings) -> None:
    settings.BATCH_AHEAD = 5
    batch = make_batch(list_of(120))
    batches.start(batch, by="staff")
    BatchRow.objects.update(next_attempt_at=timezone.now() - 6 * MINUTE)
    assert found() == {"queues": "red"}  # nobody takes them up
    for _ in range(5):
        job(batch_id=batch.pk)
    assert found() == {}
    assert levels.waiting(timezone.now())[0]["batches"] == 0


@pytest.mark.parametrize(("failed", "level"), [(10, None), (11, "red")])
def test_over_ten_failures_within_an_hour_are_red(failed: int, level: str | None) -> None:
    now, one = timezone.now(), job(next_attempt_at=timezone.now() + MINUTE)
    record(one, failed, now - 59 * MINUTE, "LMS_REFUSED")
    record(one, 20, now - 61 * MINUTE, "LMS_REFUSED")
    record(one, 20, now, "done")
    record(one, 20, now, "LMS_AWAITING_ACCOUNT")
    assert found().get("failures") == level


@pytest.mark.parametrize(
    ("attempts", "minutes", "level"), [(1, 4, None), (2, 2, None), (2, 4, "yellow")]
)
def test_a_job_that_keeps_failing_for_minutes_is_yellow_until_it_is_done(
    attempts: int, minutes: int, level: str | None
) -> None:
    now = timezone.now()
    failing = job(next_attempt_at=now + MINUTE, attempts=attempts, last_error="LMS_UNREADABLE: x")
    SyncJob.objects.update(created_at=now - minutes * MINUTE)
    record(failing, attempts, now - MINUTE, "LMS_UNREADABLE")
    assert found().get("repeats") == level
    SyncJob.objects.filter(pk=failing.pk).update(status="done")
    assert found() == {}


def test_an_outage_that_used_no_attempt_is_no_job_that_keeps_failing() -> None:
    waiting = job(next_attempt_at=timezone.now() + MINUTE, attempts=1)
    SyncJob.objects.update(created_at=timezone.now() - 9 * MINUTE)
    record(waiting, 5, timezone.now(), "LMS_DOWN")
    assert found() == {}


def test_an_event_that_keeps_failing_is_yellow_and_a_dead_one_red() -> None:
    later, before = timezone.now() + MINUTE, timezone.now() - 4 * MINUTE
    event(status="pending", attempts=2, next_attempt_at=later, created_at=before)
    assert found() == {"repeats": "yellow"}
    StripeEvent.objects.update(status="dead")
    assert found() == {"dead": "red"}


def record(job: SyncJob, count: int, at: datetime, outcome: str) -> None:
    SyncAttempt.objects.bulk_create(
        SyncAttempt(job=job, number=1, started_at=at, duration_ms=5, outcome=outcome)
        for _ in range(count)
    )


def test_a_dead_letter_is_red_until_it_is_resolved() -> None:
    now = timezone.now()
    letter = DeadLetter.objects.create(
        job=job(status="dead"), reason="LMS_REFUSED", first_attempt_at=now, last_attempt_at=now
    )
    assert found() == {"dead": "red"}
    said = "1 dead letter, 0 Stripe events, 0 e-mails of a day."
    assert [reason.text for reason in levels.assess()] == [said]
    DeadLetter.objects.filter(pk=letter.pk).update(status="dismissed")
    assert found() == {}


def test_a_dead_event_is_red_and_a_dead_email_yellow_for_a_day() -> None:
    now = timezone.now()
    dead = email(status="dead", finished_at=now)
    assert found() == {"dead": "yellow"}
    Email.objects.filter(pk=dead.pk).update(finished_at=now - timedelta(hours=25))
    assert found() == {}
    event(status="dead")
    assert found() == {"dead": "red"}


@pytest.mark.parametrize("name", ["worker", "scheduler"])
def test_a_part_that_is_silent_for_three_minutes_is_red(name: str) -> None:
    set_back(name, 2 * MINUTE)
    assert found() == {}
    set_back(name, 4 * MINUTE)
    assert found() == {name: "red"}
    Heartbeat.objects.filter(name=name).delete()
    assert found() == {name: "red"}


def test_that_work_waits_for_a_silent_worker_is_no_cause_of_its_own() -> None:
    job(next_attempt_at=timezone.now() - 6 * MINUTE)
    set_back("worker", 4 * MINUTE)
    assert found() == {"worker": "red"}


@pytest.mark.every_engine
def test_the_night_may_be_missed_for_a_day_and_on_a_new_shop_as_well() -> None:
    set_back("nightly", timedelta(hours=27))
    assert found() == {"nightly": "red"}
    Heartbeat.objects.filter(name="nightly").delete()
    assert found() == {}
    Heartbeat.objects.update(first_at=timezone.now() - timedelta(hours=27))
    assert found() == {"nightly": "red"}


def test_the_nightly_command_leaves_its_heartbeat() -> None:
    Heartbeat.objects.filter(name="nightly").delete()
    with pytest.raises(Exception, match="Not done tonight"):
        call_command("nightly")  # nothing answers at Stripe's address here
    assert Heartbeat.objects.filter(name="nightly").exists()


def test_mail_that_the_server_does_not_take_is_red_until_it_takes_any() -> None:
    now = timezone.now()
    facts = {"name": "mail", "last_error": "The mail server does not accept our login."}
    state = MailState.objects.create(**facts, state="refusing", since=now)
    assert found() == {"mail": "red"}
    assert "does not accept our login" in levels.assess()[0].text
    MailState.objects.filter(pk=state.pk).update(state="answering", since=None)
    assert found() == {}


@pytest.mark.every_engine
def test_a_mail_server_that_is_restarted_is_no_trouble_yet() -> None:
    now = timezone.now()
    MailState.objects.create(name="mail", state="unavailable", since=now - MINUTE)
    assert found() == {}
    MailState.objects.update(since=now - 3 * MINUTE)
    assert found() == {"mail": "red"}


def test_one_address_that_is_deferred_does_not_mean_that_no_mail_leaves() -> None:
    now = timezone.now()
    email(
        last_error="MAIL_DEFERRED: SMTP 450",
        next_attempt_at=now + MINUTE,
        created_at=now - 9 * MINUTE,
    )
    assert found() == {}


def test_a_wrong_webhook_secret_is_red_until_an_event_is_accepted() -> None:
    problem = WebhookProblem.objects.create(kind="secret", explanation="It is wrong.")
    assert found() == {"webhook": "red"}
    accepted = event(status="done")
    assert found() == {}
    StripeEvent.objects.filter(pk=accepted.pk).update(created_at=problem.last_at - MINUTE)
    assert found() == {"webhook": "red"}


@pytest.mark.parametrize("kind", WebhookProblem.KINDS)
def test_of_problems_at_the_webhook_those_are_red_that_keep_events_out_for_an_hour(
    kind: str,
) -> None:
    problem = WebhookProblem.objects.create(kind=kind, explanation="It is wrong.")
    keeps_out = kind in (WebhookProblem.SECRET, WebhookProblem.CLOCK)
    assert found() == ({"webhook": "red"} if keeps_out else {})
    WebhookProblem.objects.filter(pk=problem.pk).update(last_at=timezone.now() - 61 * MINUTE)
    assert found() == {}


@pytest.mark.parametrize(("mebibytes", "level"), [(2048, None), (1000, "yellow"), (200, "red")])
def test_a_disk_that_fills_up_is_told(monkeypatch, mebibytes: int, level: str | None) -> None:
    monkeypatch.setattr(
        levels.shutil, "disk_usage", lambda _: SimpleNamespace(free=mebibytes * 1024 * 1024)
    )
    assert found().get("disk") == level


def test_the_worst_reason_is_the_level() -> None:
    reasons = [levels.Reason("dead", "yellow", ""), levels.Reason("disk", "red", "")]
    assert levels.worst(reasons) == "red"
    assert levels.worst(reasons[:1]) == "yellow"


def test_a_heartbeat_is_written_every_half_minute_and_not_at_each_look(
    django_assert_num_queries,
) -> None:
    heartbeats._next.clear()
    assert heartbeats.beat("worker")
    with django_assert_num_queries(0):
        assert not heartbeats.beat("worker")


def test_of_those_that_ask_for_the_turn_one_gets_it_in_each_period() -> None:
    five = 5 * MINUTE
    assert [heartbeats.take_turn("stripe", five) for _ in range(3)] == [True, False, False]
    set_back("stripe", 6 * MINUTE)
    assert [heartbeats.take_turn("stripe", five) for _ in range(2)] == [True, False]


@pytest.mark.every_engine
def test_a_look_costs_few_statements_however_much_waits(django_assert_max_num_queries) -> None:
    with django_assert_max_num_queries(14):
        levels.assess()
