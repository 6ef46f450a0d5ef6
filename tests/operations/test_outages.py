"""How staff are alerted of a platform that is down or misconfigured: each kind once an hour."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from enrollments.models import Enrollment
from enrollments.provisioning import LMS_JOBS
from lms_sync import breaker
from lms_sync.models import DeadLetter, PlatformState, SyncJob
from maaledu.work.queue import drain
from notifications.models import Email
from operations import outages
from tests.enrollments.test_provisioning import buy, due_again
from tests.sandbox_client import Sandbox

NEW_USER = "POST /api/resource/User"


def alerts() -> list[dict]:
    return [
        email.context for email in Email.objects.filter(kind="staff_alert").order_by("created_at")
    ]


def incidents() -> list[dict]:
    """Return the alerts without those that one is over."""
    return [alert for alert in alerts() if not alert["subject"].startswith("Recovered: ")]


def sweep() -> None:
    """Do what happens each minute: probes that are due, jobs that are due, alerts."""
    PlatformState.objects.filter(retry_at__isnull=False).update(retry_at=timezone.now())
    due_again()
    drain(LMS_JOBS)
    outages.announce()


def test_a_step_the_key_may_not_do_alerts_once_and_ends_in_a_dead_letter_while_others_get_in(
    buyer: Client, sandbox: Sandbox
) -> None:
    denied = buy(buyer)
    sandbox.fault("lms", "403", NEW_USER)
    for number in range(7):
        sandbox.lms(users=[{"email": f"known{number}@example.com", "first_name": "Known"}])
        known = buy(buyer, slug=f"course-of-{number}")
        Enrollment.objects.filter(pk=known.pk).update(email=f"known{number}@example.com")
        SyncJob.objects.filter(payload__enrollment_id=str(known.pk)).update(
            email=f"known{number}@example.com"
        )
        sweep()
        assert breaker.blocked_platforms() == set()
        known.refresh_from_db()
        assert known.has_access
    assert [alert["subject"] for alert in alerts()] == [
        "The learning platform Frappe LMS is misconfigured",
        "Frappe sync permanently failed",
    ]
    assert outages.DENYING in alerts()[0]["lines"]
    assert DeadLetter.objects.get().reason == "LMS_DENIED"
    denied.refresh_from_db()
    assert (denied.status, denied.lms_status) == ("paid", "failed")


@pytest.mark.any_engine
def test_a_platform_that_comes_and_goes_alerts_once_an_hour(
    buyer: Client, sandbox: Sandbox, settings
) -> None:
    settings.LMS_BREAKER_FAILURES = 1
    for _ in range(4):
        buy(buyer)
        sandbox.fault("lms", "503")
        sweep()
        assert breaker.blocked_platforms() == {"frappe"}
        sandbox.heal()
        sweep()
        assert breaker.blocked_platforms() == set()
    assert [alert["subject"] for alert in alerts()] == [
        "The learning platform Frappe LMS is unavailable",
        "Recovered: The learning platform Frappe LMS is unavailable",
    ]
    assert outages.WAITING in alerts()[0]["lines"]
    assert SyncJob.objects.filter(status="done").count() == 4


def test_an_outage_that_lasts_alerts_as_soon_as_its_hour_comes(
    buyer: Client, sandbox: Sandbox, settings
) -> None:
    settings.LMS_BREAKER_FAILURES = 1
    for _ in range(2):
        buy(buyer)
        sandbox.fault("lms", "503")
        sweep()
        sandbox.heal()
        sweep()
    buy(buyer)
    sandbox.fault("lms", "503")
    sweep()
    assert len(incidents()) == 1
    an_hour_ago = timezone.now() - timedelta(minutes=61)
    PlatformState.objects.update(unavailable_alerted_at=an_hour_ago)
    sweep()
    assert len(incidents()) == 2
    sandbox.heal()
    sweep()
    assert len(alerts()) == 4


def test_what_is_wrong_for_every_job_still_parks_the_platform(
    buyer: Client, sandbox: Sandbox
) -> None:
    buy(buyer)
    sandbox.fault("lms", "401")
    sweep()
    assert breaker.blocked_platforms() == {"frappe"}
    assert set(SyncJob.objects.values_list("status", "attempts")) == {("pending", 0)}
    assert outages.WAITING in alerts()[0]["lines"]
