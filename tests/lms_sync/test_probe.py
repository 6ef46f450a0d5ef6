"""A probe that cannot be fooled: it tries what the jobs will do, and they wait instead of dying."""

from datetime import timedelta

import pytest
from django.utils import timezone

from lms_sync import breaker
from lms_sync.models import DeadLetter, PlatformState, SyncJob
from maaledu.work.queue import drain
from tests.lms_sync.test_delivery import QUEUE, make_job
from tests.sandbox_client import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
WRITES = "POST /api/resource/"


def try_again() -> None:
    """Let a minute pass: the probe is due, and what it releases."""
    PlatformState.objects.update(retry_at=timezone.now())
    SyncJob.objects.filter(status="pending").update(next_attempt_at=timezone.now())
    breaker.probe_due()
    drain(QUEUE, budget=timedelta(seconds=30))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"role": "LMS Student"}, "may not read users"),
        ({"role": "Moderator", "server": "B"}, "may not create users"),
        ({"denied": ["User:create"]}, "may not create users"),
        ({"denied": ["LMS Enrollment:create"]}, "may not enroll learners"),
    ],
)
def test_a_key_that_may_not_do_what_jobs_need_parks_them_until_it_may(
    sandbox: Sandbox, options: dict, words: str
) -> None:
    """L3: a list of enrollments, which a student gets as well, does not end it."""
    sandbox.lms(**options)
    for number in range(5):
        make_job(email=f"learner{number}@example.com")
    drain(QUEUE)
    for _ in range(8):
        try_again()
    assert breaker.state_of("frappe").state == "parked"
    assert words in breaker.state_of("frappe").last_error
    assert set(SyncJob.objects.values_list("status", "attempts")) == {("pending", 0)}
    assert (DeadLetter.objects.count(), sandbox.enrollments()) == (0, [])
    sandbox.lms(role="System Manager,Moderator", server="A", denied=[])
    try_again()
    assert set(SyncJob.objects.values_list("status", "attempts")) == {("done", 0)}


def test_maintenance_that_allows_reads_parks_the_jobs_until_a_change_is_taken(
    sandbox: Sandbox,
) -> None:
    """L8."""
    for number in range(5):
        make_job(email=f"learner{number}@example.com")
    sandbox.fault("lms", "read_only")
    drain(QUEUE)
    assert breaker.state_of("frappe").state == "open"
    tried = len(sandbox.calls("lms", WRITES))
    for _ in range(8):
        try_again()
    assert len(sandbox.calls("lms", WRITES)) == tried
    assert breaker.blocked_platforms() == {"frappe"}
    assert set(SyncJob.objects.values_list("status", "attempts")) == {("pending", 0)}
    assert "takes no change" in breaker.state_of("frappe").last_error
    sandbox.heal()
    try_again()
    assert set(SyncJob.objects.values_list("status", "attempts")) == {("done", 0)}
    assert len(sandbox.enrollments()) == 5


def test_a_deep_probe_leaves_the_lms_as_it_is(sandbox: Sandbox) -> None:
    sandbox.lms(users=[{"email": "bot@example.com", "first_name": "Bot", "enabled": 0}])
    assert breaker.probe_now("frappe")
    [bot] = sandbox.book("users")
    assert bot["enabled"] == 0
    assert sandbox.calls("lms", "PUT") != []
    assert sandbox.enrollments() == []
