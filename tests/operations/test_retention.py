"""What is past its retention goes, in small transactions, and nothing else does."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection
from django.db.models import Model
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from affiliates import labels
from affiliates.models import ReferralLabelDay, ReferralVisit
from grants.models import Refusal
from lms_sync.models import SyncAttempt, SyncJob, SyncLock
from maaledu.forgetting import BATCH, forget
from maaledu.models import IdempotentAnswer, LimitCount
from notifications.models import Alert, AlertNotice, Email
from operations import retention
from operations.models import Trouble
from payments.models import StripeEvent
from tests.affiliates.make import make_affiliate

pytestmark = [pytest.mark.django_db, pytest.mark.breaks_invariants, pytest.mark.any_engine]
OLD, NEW = timedelta(days=500), timedelta(days=80)
SHORT = timedelta(hours=1)  # what is kept for hours only is not new after 80 days


def finished(age: timedelta) -> dict:
    at = timezone.now() - age
    return {"status": "done", "created_at": at, "finished_at": at}


def jobs(age: timedelta, number: int) -> None:
    SyncJob.objects.bulk_create(
        SyncJob(
            **finished(age), dedupe_key=f"{age.days}:{each}", platform="frappe", email="a@b.example"
        )
        for each in range(number)
    )
    made = SyncJob.objects.filter(dedupe_key__startswith=f"{age.days}:")
    SyncAttempt.objects.bulk_create(
        SyncAttempt(job=job, number=1, started_at=timezone.now(), duration_ms=1, outcome="done")
        for job in made
    )


def emails(age: timedelta, number: int) -> None:
    rows = [Email(**finished(age), dedupe_key=f"{age.days}:{each}") for each in range(number)]
    Email.objects.bulk_create(rows)


def dead_emails(age: timedelta, number: int) -> None:
    made = {**finished(age), "status": "dead"}
    rows = [Email(**made, dedupe_key=f"{age.days}:{each}") for each in range(number)]
    Email.objects.bulk_create(rows)


def events(age: timedelta, number: int) -> None:
    StripeEvent.objects.bulk_create(
        StripeEvent(**finished(age), event_id=f"{age.days}:{each}", livemode=False, payload={})
        for each in range(number)
    )


def alerts(age: timedelta, number: int) -> None:
    at = timezone.now() - age
    made = [
        Alert(key=f"k:{age.days}:{each}", kind="k", subject="s", lines=[], since=at, created_at=at)
        for each in range(number)
    ]
    Alert.objects.bulk_create(made)
    AlertNotice.objects.bulk_create(
        AlertNotice(alert=alert, dedupe_key=f"{alert.pk}", channel="slack") for alert in made
    )


def troubles(age: timedelta, number: int) -> None:
    at = timezone.now() - age
    Trouble.objects.bulk_create(
        Trouble(open_key=f"{age.days}:{each}", cause="disk", level="red", worst="red", ended_at=at)
        for each in range(number)
    )


def sessions(age: timedelta, number: int) -> None:
    at = timezone.now() + SHORT if age == NEW else timezone.now() - age
    Session.objects.bulk_create(
        Session(session_key=f"{age.days}:{each}", session_data="", expire_date=at)
        for each in range(number)
    )


def visits(age: timedelta, number: int) -> None:
    affiliate, at = make_affiliate(), timezone.now() - age
    ReferralVisit.objects.bulk_create(
        ReferralVisit(affiliate=affiliate, day=at.date(), visitor_key=f"{age.days}:{each}")
        for each in range(number)
    )


def label_counts(age: timedelta, number: int) -> None:
    affiliate = make_affiliate(f"{age.days}@example.com")
    day = (timezone.now() - (labels.KEPT + age if age > NEW else age)).date()
    ReferralLabelDay.objects.bulk_create(
        ReferralLabelDay(affiliate=affiliate, day=day, label=f"l{each}") for each in range(number)
    )


def refusals(age: timedelta, number: int) -> None:
    at = timezone.now() - age
    Refusal.objects.bulk_create(
        Refusal(reason="foreign", created_at=at, tried_by="g…@x") for _ in range(number)
    )


def limit_counts(age: timedelta, number: int) -> None:
    at = timezone.now() - (SHORT if age == NEW else age)
    LimitCount.objects.bulk_create(
        LimitCount(key=f"{age.days}:{each}", ends_at=at) for each in range(number)
    )


def answers(age: timedelta, number: int) -> None:
    made = timezone.now() - (age if age > NEW else SHORT)
    IdempotentAnswer.objects.bulk_create(
        IdempotentAnswer(pk=f"{age.days}:{each}", request="x", held_until=made, created_at=made)
        for each in range(number)
    )


def locks(age: timedelta, number: int) -> None:
    at = timezone.now() + SHORT if age == NEW else timezone.now() - age
    SyncLock.objects.bulk_create(
        SyncLock(key=f"{age.days}:{each}", owner="o", until=at) for each in range(number)
    )


MADE: dict[str, tuple[Callable[[timedelta, int], None], list[type[Model]]]] = {
    "finished items of the queue lms": (jobs, [SyncJob, SyncAttempt]),
    "finished items of the queue emails": (emails, [Email]),
    "finished items of the queue stripe": (events, [StripeEvent]),
    "messages that could not be sent": (dead_emails, [Email]),
    "old alerts": (alerts, [Alert, AlertNotice]),
    "old troubles": (troubles, [Trouble]),
    "expired sessions": (sessions, [Session]),
    "visits of affiliates' links": (visits, [ReferralVisit]),
    "counts of labels of affiliates' links": (label_counts, [ReferralLabelDay]),
    "refused codes": (refusals, [Refusal]),
    "counts of limits": (limit_counts, [LimitCount]),
    "answers to repeated requests": (answers, [IdempotentAnswer]),
    "locks of lost workers": (locks, [SyncLock]),
}
# Shown in tests/lms_sync/test_call_figures.py; and made by the same function as those above.
ELSEWHERE = {
    "hours of LMS calls",
    "finished items of the queue batches",
    "finished items of the queue alerts",
    "pictures that nothing shows",
}


def test_every_rule_is_shown() -> None:
    assert {*MADE, *ELSEWHERE} == {*retention.STEPS}


@pytest.mark.every_engine
@pytest.mark.parametrize("rule", MADE)
def test_what_is_past_its_retention_goes_and_the_rest_stays(rule: str) -> None:
    make, models = MADE[rule]
    make(OLD, 3)
    make(NEW, 2)
    assert retention.STEPS[rule]() == 3
    assert [model.objects.count() for model in models] == [2 for _ in models]
    assert retention.STEPS[rule]() == 0


@pytest.mark.engines("sqlite")  # whose statements are read here; they are Django's own everywhere
@pytest.mark.parametrize("rule", MADE)
def test_no_statement_is_about_more_than_a_few_hundred_rows(rule: str) -> None:
    make, models = MADE[rule]
    make(OLD, 2 * BATCH + 1)
    with CaptureQueriesContext(connection) as captured:
        retention.STEPS[rule]()
    deleted = [query["sql"] for query in captured if query["sql"].startswith("DELETE")]
    assert len(deleted) >= 3 * len(models)
    assert all(" IN (" in sql or " = " in sql for sql in deleted), deleted[0][:300]
    assert max(sql.count(",") + 1 for sql in deleted) <= BATCH
    assert sum(model.objects.count() for model in models) == 0


class Killed(BaseException):
    """What ends a process, as far as the code can see."""


@pytest.mark.engines("sqlite")  # whose statements are read here
def test_a_night_that_is_killed_loses_one_batch_and_the_next_goes_on() -> None:
    jobs(OLD, 3 * BATCH)
    deleting = iter(range(2))

    def kill(execute, sql, *rest):
        if sql.startswith('DELETE FROM "lms_sync_syncjob"') and next(deleting, None) is None:
            raise Killed
        return execute(sql, *rest)

    with connection.execute_wrapper(kill), pytest.raises(Killed):
        retention.STEPS["finished items of the queue lms"]()
    assert SyncJob.objects.count() == 2 * BATCH
    assert retention.STEPS["finished items of the queue lms"]() == 2 * BATCH
    assert (SyncJob.objects.count(), SyncAttempt.objects.count()) == (0, 0)


@pytest.mark.engines("sqlite")  # whose statements are read here
def test_a_row_that_becomes_current_between_look_and_delete_stays() -> None:
    emails(OLD, 2)
    kept = Email.objects.order_by("pk")[0]
    old = Email.objects.filter(status="done")

    def replay(execute, sql, *rest):
        if sql.startswith("DELETE"):
            Email.objects.filter(pk=kept.pk).update(status="pending")
        return execute(sql, *rest)

    with connection.execute_wrapper(replay):
        assert forget(old, by="finished_at") == 1
    assert Email.objects.get().pk == kept.pk


def test_the_data_model_says_of_every_table_how_long_its_rows_are_kept() -> None:
    text = (Path(settings.BASE_DIR) / "docs/data-model.md").read_text()
    section = text.partition("## How long rows are kept")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(\w+\.[A-Z]\w+)`", section))
    assert named == {
        model._meta.label
        for model in apps.get_models()
        if not model.__module__.startswith("tests.")
    }
