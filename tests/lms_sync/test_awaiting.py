"""Learners without an account are looked for in bounded batches."""

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from lms_sync import awaiting, breaker
from lms_sync.models import PlatformState, SyncJob
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.django_db
KEY = "course-v1:Maal+Free+2026"


def test_many_who_never_register_cost_few_calls_and_fewer_with_time(
    sandbox: Sandbox, with_openedx: None, settings: Settings
) -> None:
    settings.LMS_ACCOUNTS_PER_CALL = 4
    now = timezone.now()
    for number in range(10):
        SyncJob.objects.create(
            dedupe_key=f"enroll:{number}",
            platform="openedx",
            email=f"learner{number}@example.com",
            course_id=KEY,
            created_at=now - timedelta(days=number * 5),
            next_attempt_at=now + timedelta(days=1),
            look_at=now - timedelta(minutes=number),
        )
    sandbox.edx(accounts=[{"email": "learner7@example.com", "username": "seven"}])
    assert [awaiting.look_for_accounts() for _ in range(4)] == [1, 0, 0, 0]
    searches = sandbox.calls("openedx", "POST /api/user/v1/accounts/search_emails")
    assert len(searches) == 3
    assert SyncJob.objects.due(timezone.now()).get().email == "learner7@example.com"
    pauses = {
        job.email[7]: (job.look_at - now) / timedelta(hours=1)
        for job in SyncJob.objects.awaiting_account()
    }
    assert len(pauses) == 9
    assert pauses["0"] == pytest.approx(10 / 3600, abs=0.002)
    assert pauses["1"] == pytest.approx(1, rel=0.2)
    assert pauses["9"] == pytest.approx(12, rel=0.2)


@pytest.mark.any_engine
def test_a_platform_that_is_down_is_not_asked(sandbox: Sandbox, with_openedx: None) -> None:
    breaker.state_of("openedx")
    PlatformState.objects.update(state="open")
    SyncJob.objects.create(
        dedupe_key="enroll:1",
        platform="openedx",
        email="a@b.c",
        course_id=KEY,
        look_at=timezone.now(),
    )
    assert awaiting.look_for_accounts() == 0
    assert sandbox.calls("openedx") == []
