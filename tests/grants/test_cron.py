"""The address that a scheduler calls, the chores of the sweep, and what becomes of a place the LMS refuses."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from grants.models import Grant, GrantEvent
from maaledu import queues
from maaledu.checks import check_environment
from notifications.models import Email
from tests.factories import make_course
from tests.grants.make import make_coupon

PATH = "/api/cron/expire-grants"
SECRET = "a-secret-of-a-scheduler-0123456789"


@pytest.fixture(autouse=True)
def _secret(settings) -> None:
    settings.CRON_SECRET = SECRET


def call(header: str | None) -> tuple[int, dict]:
    answer = Client(enforce_csrf_checks=True).post(PATH, headers={"Authorization": header} if header is not None else {})
    return answer.status_code, answer.json()


def overdue(number: int) -> None:
    course = make_course()
    for n in range(number):
        grant = make_coupon(course, email=f"late{n}@example.com")
        Grant.objects.filter(pk=grant.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", SECRET, f"Basic {SECRET}", f"bearer {SECRET}", f"Bearer {SECRET}x", "Bearer ünïcödé"],
)
def test_without_the_secret_nothing_expires(db: None, header: str | None) -> None:
    overdue(1)
    status, body = call(header)
    assert (status, body["code"]) == (401, "CRON_REFUSED")
    assert Grant.objects.get().status == "approved"


def test_with_the_secret_the_overdue_coupons_expire_and_are_counted(db: None) -> None:
    """Requirement R064."""
    overdue(3)
    make_coupon(email="intime@example.com")
    status, body = call(f"Bearer {SECRET}")
    assert (status, body["success"], body["expired"]) == (200, True, 3)
    assert call(f"Bearer {SECRET}")[1]["expired"] == 0
    assert sorted(Grant.objects.values_list("status", flat=True)) == ["approved", "expired", "expired", "expired"]
    assert GrantEvent.objects.filter(what="expired", actor="system", note="Automatically expired").count() == 3


def test_the_address_takes_post_only(db: None) -> None:
    for method in ("get", "put", "delete"):
        assert getattr(Client(), method)(PATH, headers={"Authorization": f"Bearer {SECRET}"}).status_code == 405


@pytest.mark.parametrize("header", ["Bearer ", "Bearer None", f"Bearer {SECRET}", ""])
def test_without_a_secret_in_the_settings_the_address_is_closed(db: None, settings, header: str) -> None:
    settings.CRON_SECRET = ""
    overdue(1)
    assert call(header)[0] == 401
    assert Grant.objects.get().status == "approved"


def test_the_sweep_expires_and_reminds_without_any_scheduler(db: None) -> None:
    """Requirement R051: an expiry is enforced though nobody tries the code."""
    overdue(1)
    ending = make_coupon(email="ending@example.com")
    Grant.objects.filter(pk=ending.pk).update(expires_at=timezone.now() + timedelta(hours=20))
    for _ in range(2):
        queues.run_chores()
    assert sorted(Grant.objects.values_list("status", flat=True)) == ["approved", "expired"]
    assert Email.objects.filter(kind="grant_reminder", to="ending@example.com").count() == 1


@pytest.mark.parametrize("policy", ["queue", "rollback"])
def test_both_policies_for_a_place_the_lms_refuses_are_known(settings, policy: str) -> None:
    settings.FREE_GRANT_ON_LMS_FAILURE = policy
    assert check_environment() == []


@pytest.mark.parametrize("policy", ["", "Queue", "retry"])
def test_any_other_policy_stops_the_start(settings, policy: str) -> None:
    settings.FREE_GRANT_ON_LMS_FAILURE = policy
    assert [(error.id, error.msg) for error in check_environment()] == [
        ("maaledu.E014", "Set FREE_GRANT_ON_LMS_FAILURE to queue or rollback.")
    ]
