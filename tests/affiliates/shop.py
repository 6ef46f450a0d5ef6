"""Referred purchases from the first click on, through the real pages, with the sandbox as Stripe
and LMS.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.utils import timezone

from affiliates.models import Affiliate
from courses.models import Course
from enrollments.models import Enrollment
from enrollments.provisioning import LMS_JOBS
from lms_sync.models import SyncJob
from maaledu.work.items import PENDING
from maaledu.work.queue import drain
from payments.models import Payment, StripeEvent
from tests.factories import deliver, make_course
from tests.sandbox_client import Sandbox

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
BUYER = "buyer@example.com"


def visitor(**headers: str) -> Client:
    """Return the browser of somebody who looks at our pages."""
    return Client(headers={"user-agent": BROWSER, **headers})


def check_out(client: Client, course: Course, *, email: str = BUYER, **more: str) -> Any:
    return client.post(f"/checkout/{course.slug}/", {"email": email, "accept_terms": "on", **more})


def deliver_events(sandbox: Sandbox, client: Client | None = None) -> list[str]:
    """Deliver, signed, every event of Stripe that did not arrive yet; return their types."""
    known = set(StripeEvent.objects.values_list("event_id", flat=True))
    news = [event for event in sandbox.book("events") if event["id"] not in known]
    for event in news:
        assert deliver(client or Client(), event).status_code == 200
    return [event["type"] for event in news]


def buy(
    sandbox: Sandbox, course: Course | None = None, *, through: Affiliate | None = None, **form: str
) -> tuple[Enrollment, Payment]:
    """Buy in a clean browser, at Stripe too, and return the purchase after its events."""
    course, client = course or make_course(), visitor()
    if through:
        client.get(f"/r/{through.code}/{course.slug}/")
    assert check_out(client, course, **form).status_code == 302
    enrollment = Enrollment.objects.live().get(course=course, email=form.get("email", BUYER))
    sandbox.pay(enrollment.payments.get().stripe_session_id)
    deliver_events(sandbox, client)
    return fresh(enrollment), enrollment.payments.get()


def fresh(row: Any) -> Any:
    return type(row).objects.get(pk=row.pk)


def provision(times: int = 1) -> None:
    """Run the LMS jobs that wait, due or not, so many times."""
    for _ in range(times):
        SyncJob.objects.filter(status=PENDING).update(next_attempt_at=timezone.now())
        drain(LMS_JOBS)


def drained(rounds: int = 20) -> None:
    """Run the LMS jobs until none waits."""
    for _ in range(rounds):
        provision()
        if not SyncJob.objects.unfinished().exists():
            return
    raise AssertionError(f"still unfinished: {list(SyncJob.objects.unfinished().values())}")


def in_lms(sandbox: Sandbox, enrollment: Enrollment) -> int:
    """Return how many enrollments the LMS has for this learner and course."""
    return len(sandbox.enrollments(enrollment.email, enrollment.lms_course_id))


def long_ago(row: Any, by: timedelta, *names: str) -> None:
    """Let this much time have passed since the moments of a row."""
    type(row).objects.filter(pk=row.pk).update(
        **{name: getattr(row, name) - by for name in names or ("created_at", "updated_at")}
    )


@contextmanager
def without_tables(*models: Any) -> Iterator[None]:
    """Take the tables of these models away for a while: the database itself refuses every statement
    about them.
    """
    tables = [model._meta.db_table for model in models]
    if connection.vendor == "mongodb":
        with _without_collections(tables):
            yield
        return
    _rename([(table, f"{table}_away") for table in tables])
    try:
        yield
    finally:
        _rename([(f"{table}_away", table) for table in tables])


def _rename(pairs: list[tuple[str, str]]) -> None:
    with connection.cursor() as cursor:
        for old, new in pairs:
            cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")


@contextmanager
def _without_collections(tables: list[str]) -> Iterator[None]:
    """MongoDB makes whatever collection is asked for, so its driver is made to refuse these."""
    from pymongo.collection import Collection
    from pymongo.errors import OperationFailure

    def refusing(method: Any) -> Any:
        def refused(collection: Any, *args: Any, **options: Any) -> Any:
            if collection.name in tables:
                raise OperationFailure(f"no such collection: {collection.name}")
            return method(collection, *args, **options)

        return refused

    with pytest.MonkeyPatch.context() as patched:
        for name in ("aggregate", "find", "insert_many", "update_many", "delete_many"):
            patched.setattr(Collection, name, refusing(getattr(Collection, name)))
        yield


def is_broken(model: Any) -> bool:
    """Whether asking for this model's rows fails: shows that `without_tables` has teeth."""
    try:
        model.objects.exists()
    except DatabaseError:
        return True
    return False
