"""Staff are alerted once of each change of level, and that it is over, by whoever looks first."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from lms_sync.models import PlatformState, SyncJob
from notifications.alerts import alert_staff
from notifications.models import Email
from operations import heartbeats, watch
from operations.levels import TITLES
from operations.models import Heartbeat, Trouble
from payments.models import StripeEvent
from tests.affiliates.rivals import rival_before
from tests.architecture import ROOT
from tests.concurrency import race
from tests.operations.test_levels import email, event, job, set_back
from tests.sandbox_client import Sandbox

# The rows are made up, and nothing but what they are counted by is like in life.
pytestmark = [pytest.mark.django_db, pytest.mark.breaks_invariants, pytest.mark.any_engine]
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _alive(db: None) -> None:
    for name in ("worker", "scheduler", "nightly"):
        heartbeats.note(name)


def subjects() -> list[str]:
    alerts = Email.objects.filter(kind="staff_alert").order_by("created_at")
    return [alert.context["subject"] for alert in alerts]


def let_calm_pass() -> None:
    Trouble.objects.update(seen_at=timezone.now() - watch.CALM_AFTER)


@pytest.mark.every_engine
def test_a_silence_alerts_once_and_its_end_once() -> None:
    set_back("worker", 4 * MINUTE)
    watch.look()
    watch.look()
    assert subjects() == ["Now red: the worker is silent"]
    heartbeats.note("worker")
    watch.look()
    assert subjects() == ["Now red: the worker is silent"]
    let_calm_pass()
    watch.look()
    watch.look()
    assert subjects() == [
        "Now red: the worker is silent",
        "Recovered: the worker is silent",
    ]
    trouble = Trouble.objects.get()
    assert (trouble.cause, trouble.worst, trouble.ended_at is not None) == ("worker", "red", True)


@pytest.mark.every_engine
def test_the_next_silence_is_another_one() -> None:
    for _ in range(2):
        set_back("worker", 4 * MINUTE)
        watch.look()
        heartbeats.note("worker")
        let_calm_pass()
        watch.look()
    assert len(subjects()) == 4
    assert Trouble.objects.filter(ended_at=None).count() == 0


def test_each_change_of_level_alerts_once_at_once_upwards_and_calmly_downwards() -> None:
    for number in range(10):
        job(email=f"{number}@example.com")
    watch.look()
    for number in range(100):
        job(email=f"{number}@example.com")
    watch.look()
    SyncJob.objects.filter(pk__in=list(SyncJob.objects.values_list("pk", flat=True)[:60])).delete()
    watch.look()
    assert subjects() == ["Now yellow: work is waiting", "Now red: work is waiting"]
    let_calm_pass()
    watch.look()
    assert subjects()[2:] == ["Now yellow: work is waiting"]
    SyncJob.objects.all().delete()
    let_calm_pass()
    watch.look()
    assert subjects()[3:] == ["Recovered: work is waiting"]
    assert Trouble.objects.get().worst == "red"


def test_a_second_trouble_is_alerted_though_the_level_is_red_already() -> None:
    set_back("scheduler", 4 * MINUTE)
    watch.look()
    set_back("nightly", timedelta(hours=27))
    watch.look()
    assert subjects() == [
        "Now red: the scheduler is silent",
        "Now red: the nightly checks have not run",
    ]


@pytest.mark.every_engine
def test_what_alerts_by_itself_is_kept_and_alerted_no_second_time() -> None:
    PlatformState.objects.create(name="frappe", state="open", last_error="HTTP 502")
    email(status="dead", finished_at=timezone.now())
    watch.look()
    assert subjects() == []
    assert set(Trouble.objects.values_list("cause", flat=True)) == {"lms_frappe", "dead"}
    event(status="dead")
    watch.look()
    assert Trouble.objects.get(cause="dead").level == "red"
    assert subjects() == []


def test_the_alert_of_dead_work_is_over_when_staff_have_settled_all_of_it() -> None:
    alert_staff(key="dead-event:1:1", subject="A Stripe event failed for good", lines=[])
    event(status="dead")
    watch.look()
    let_calm_pass()
    watch.look()
    assert subjects() == ["A Stripe event failed for good"]
    StripeEvent.objects.update(status="done")
    let_calm_pass()
    watch.look()
    assert subjects()[1:] == ["Recovered: A Stripe event failed for good"]


@pytest.mark.every_engine
def test_of_ten_that_look_at_once_one_alerts() -> None:
    set_back("worker", 4 * MINUTE)
    race(lambda _: watch.look(), threads=10)
    assert subjects() == ["Now red: the worker is silent"]
    heartbeats.note("worker")
    let_calm_pass()
    race(lambda _: watch.look(), threads=10)
    assert subjects()[1:] == ["Recovered: the worker is silent"]


@pytest.mark.engines("postgres")
@pytest.mark.django_db(transaction=True)
def test_of_two_that_see_it_get_worse_at_the_same_moment_one_alerts() -> None:
    for number in range(10):
        job(email=f"{number}@example.com")
    watch.look()
    for number in range(100):
        job(email=f"{number}@example.com")
    with rival_before('UPDATE "operations_trouble"', watch.look) as ran:
        watch.look()
    assert [[reason.level for reason in reasons] for reasons in ran] == [["red"]]
    assert subjects() == ["Now yellow: work is waiting", "Now red: work is waiting"]


@pytest.mark.engines("postgres")
@pytest.mark.django_db(transaction=True)
def test_what_another_sees_again_at_the_moment_of_its_end_is_not_over() -> None:
    set_back("worker", 4 * MINUTE)
    watch.look()
    heartbeats.note("worker")
    let_calm_pass()

    def see_it_again() -> int:
        set_back("worker", 4 * MINUTE)
        return len(watch.look())

    with rival_before('UPDATE "operations_trouble"', see_it_again) as ran:
        watch.look()
    assert ran == [1]
    assert Trouble.objects.get().ended_at is None
    assert subjects() == ["Now red: the worker is silent"]


def test_the_alert_says_since_when_and_what_to_do() -> None:
    set_back("worker", 4 * MINUTE)
    watch.look()
    lines = " ".join(Email.objects.get().context["lines"])
    since = Heartbeat.objects.get(name="worker").at
    assert f"Since {since:%Y-%m-%d %H:%M} UTC" in lines
    assert "runbook" in lines
    assert "/health/work" in lines


def test_each_cause_has_its_entry_in_the_runbook() -> None:
    text = (ROOT / "docs" / "runbook.md").read_text()
    own = [
        title for cause, title in TITLES.items() if not cause.startswith(("lms_", "dead", "mail"))
    ]
    entries = set(re.findall(r"\*\*Now (?:red|yellow): ([^*]+)\*\*", text))
    assert sorted(set(own) - entries) == []


def test_stripe_is_asked_in_every_other_look_and_what_it_says_stays_meanwhile(
    sandbox: Sandbox,
) -> None:
    sandbox.fault("stripe", "503")
    watch.look(by_scheduler=True)
    sandbox.heal()
    let_calm_pass()
    watch.look(by_scheduler=True)
    assert subjects() == ["Now red: Stripe does not answer as it should"]
    set_back("stripe", 6 * MINUTE)
    watch.look(by_scheduler=True)
    assert subjects()[1:] == ["Recovered: Stripe does not answer as it should"]


def test_a_key_that_stripe_refuses_is_told_within_minutes(sandbox: Sandbox, settings) -> None:
    settings.STRIPE_SECRET_KEY = "sk_test_another"
    watch.look(by_scheduler=True)
    assert "Now red: Stripe does not answer as it should" in subjects()


def test_the_web_process_looks_only_while_the_scheduler_is_silent(sandbox: Sandbox) -> None:
    set_back("worker", 4 * MINUTE)
    heartbeats.note(heartbeats.WATCH)
    assert not watch.look_if_silent()
    assert subjects() == []
    set_back(heartbeats.WATCH, 3 * MINUTE)
    assert watch.look_if_silent()
    assert subjects() == ["Now red: the worker is silent"]
    assert not watch.look_if_silent()  # nor does another web process, in the same minute
    set_back(heartbeats.WEB_WATCH, MINUTE)
    assert watch.look_if_silent()
    # There is no worker: who noticed it has sent it.
    assert len(sandbox.mails("staff@maaledu.example")) == 1


def test_a_scheduler_that_looks_keeps_the_web_processes_from_looking(sandbox: Sandbox) -> None:
    set_back("worker", 4 * MINUTE)
    watch.look(by_scheduler=True)
    assert not watch.look_if_silent()
    Heartbeat.objects.filter(name=heartbeats.WATCH).delete()
    watch.look()
    assert watch.look_if_silent()


def test_a_request_starts_one_look_a_period_and_asks_nothing_itself(
    settings, django_assert_num_queries
) -> None:
    settings.WATCH_FROM_WEB = True
    watch._Turn.at = 0.0
    client = Client()
    with django_assert_num_queries(0):
        for _ in range(3):
            assert client.get("/health/live").status_code == 200
    assert watch._Turn.at > 0
    watch._Turn.at = 0.0


def test_old_troubles_are_forgotten_after_ninety_days() -> None:
    now = timezone.now()
    for days in (89, 91):
        ended = now - timedelta(days=days)
        Trouble.objects.create(
            open_key=f"{days}", cause="mail", level="red", worst="red", text="", ended_at=ended
        )
    Trouble.objects.create(open_key="mail", cause="mail", level="red", worst="red", text="")
    watch.forget_old()
    assert set(Trouble.objects.values_list("open_key", flat=True)) == {"89", "mail"}
