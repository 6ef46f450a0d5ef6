"""The address that a scheduler calls, the chores of the sweep, and what the LMS refused."""

from collections import Counter
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from grants.models import Grant, GrantEvent
from maaledu.checks import check_environment
from notifications.models import Email
from operations import queues
from tests.factories import make_course
from tests.grants.make import make_coupon

pytestmark = pytest.mark.any_engine

PATH = "/api/cron/expire-grants"
SECRET = "a-secret-of-a-scheduler-0123456789"


@pytest.fixture(autouse=True)
def _secret(settings) -> None:
    settings.CRON_SECRET = SECRET


def call(header: str | None) -> tuple[int, dict]:
    answer = Client(enforce_csrf_checks=True).post(
        PATH, headers={"Authorization": header} if header is not None else {}
    )
    return answer.status_code, answer.json()


def overdue(number: int) -> None:
    course = make_course()
    for n in range(number):
        grant = make_coupon(course, email=f"late{n}@example.com")
        Grant.objects.filter(pk=grant.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        SECRET,
        f"Basic {SECRET}",
        f"bearer {SECRET}",
        f"Bearer {SECRET}x",
        "Bearer ünïcödé",
    ],
)
def test_without_the_secret_nothing_expires(db: None, header: str | None) -> None:
    overdue(1)
    status, body = call(header)
    assert (status, body["code"]) == (401, "CRON_REFUSED")
    assert Grant.objects.get().status == "approved"


@pytest.mark.every_engine
def test_with_the_secret_the_overdue_coupons_expire_and_are_counted(db: None) -> None:
    """Requirement R064."""
    overdue(3)
    make_coupon(email="intime@example.com")
    status, body = call(f"Bearer {SECRET}")
    assert (status, body["success"], body["expired"]) == (200, True, 3)
    assert call(f"Bearer {SECRET}")[1]["expired"] == 0
    assert sorted(Grant.objects.values_list("status", flat=True)) == [
        "approved",
        "expired",
        "expired",
        "expired",
    ]
    assert (
        GrantEvent.objects.filter(
            what="expired", actor="system", note="Automatically expired"
        ).count()
        == 3
    )


@pytest.mark.breaks_invariants  # the copies have no history
def test_the_command_expires_them_all_and_says_how_many(db: None, capsys) -> None:
    """More than one look of the sweep takes; what is in time, held by a checkout or expired already
    stays as it is.
    """
    overdue(2)
    make_coupon(email="intime@example.com")
    Grant.objects.bulk_create(copies_of(Grant.objects.filter(email="late0@example.com").get(), 500))
    call_command("expire_grants")
    assert capsys.readouterr().out == "502 coupons expired\n"
    assert sorted(Counter(Grant.objects.values_list("status", flat=True)).items()) == [
        ("approved", 1),
        ("expired", 502),
    ]
    call_command("expire_grants")
    assert capsys.readouterr().out == "0 coupons expired\n"


def copies_of(grant: Grant, number: int) -> list[Grant]:
    facts = {field.attname: getattr(grant, field.attname) for field in grant._meta.concrete_fields}
    made_anew = ("id", "token", "code", "email")
    kept = {name: value for name, value in facts.items() if name not in made_anew}
    return [
        Grant(**kept, code=f"MAAL-COPY-{n:04}", email=f"copy{n}@example.com") for n in range(number)
    ]


def test_no_other_method_is_answered(db: None) -> None:
    for method in ("put", "delete", "patch"):
        assert (
            getattr(Client(), method)(
                PATH, headers={"Authorization": f"Bearer {SECRET}"}
            ).status_code
            == 405
        )


@pytest.mark.parametrize("header", ["Bearer ", "Bearer None", f"Bearer {SECRET}", ""])
def test_without_a_secret_in_the_settings_the_address_is_closed(
    db: None, settings, header: str
) -> None:
    settings.CRON_SECRET = ""
    overdue(1)
    assert call(header)[0] == 401
    assert Grant.objects.get().status == "approved"


def test_the_sweep_expires_and_reminds_without_any_scheduler(db: None) -> None:
    """Requirement R051: an expiry is enforced though nobody tries the code."""
    overdue(1)
    ending = make_coupon(email="ending@example.com")
    now = timezone.now()
    Grant.objects.filter(pk=ending.pk).update(
        expires_at=now + timedelta(hours=20), decided_at=now - timedelta(days=30)
    )
    for _ in range(2):
        queues.run_chores()
    assert sorted(Grant.objects.values_list("status", flat=True)) == ["approved", "expired"]
    assert Email.objects.filter(kind="grant_reminder", to="ending@example.com").count() == 1


@pytest.mark.parametrize("policy", ["queue", "rollback"])
def test_both_policies_for_an_enrollment_the_lms_refuses_are_known(settings, policy: str) -> None:
    settings.FREE_GRANT_ON_LMS_FAILURE = policy
    assert check_environment() == []


@pytest.mark.parametrize("policy", ["", "Queue", "retry"])
def test_any_other_policy_stops_the_start(settings, policy: str) -> None:
    settings.FREE_GRANT_ON_LMS_FAILURE = policy
    assert [(error.id, error.msg) for error in check_environment()] == [
        ("maaledu.E014", "Set FREE_GRANT_ON_LMS_FAILURE to queue or rollback.")
    ]
