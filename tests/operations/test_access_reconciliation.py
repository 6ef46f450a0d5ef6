"""`manage.py reconcile_lms` and the night: what is said of a comparison, and whom it alerts."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from enrollments import access_repairs
from enrollments.errors import AccessNotCompared
from enrollments.models import AccessComparison, AccessDifference
from lms_sync.connection import platform_for
from lms_sync.platforms.base import EnrollRequest
from notifications.models import Email
from operations import access_reconciliation, figures
from tests.affiliates.shop import drained
from tests.enrollments.places import Frappe, OpenEdx, with_access
from tests.factories import make_pending
from tests.processes import Proc, python
from tests.sandbox_client import Sandbox, wait_until

pytestmark = pytest.mark.any_engine
DIFFERS = "Our enrollments and a learning platform's differ"
LATE = "A learning platform could not be compared with our enrollments for days"


@pytest.fixture
def frappe(db: None, sandbox: Sandbox) -> Frappe:
    return Frappe(sandbox)


@pytest.fixture
def openedx(db: None, sandbox: Sandbox, settings: Settings) -> OpenEdx:
    settings.OPENEDX_BASE_URL = sandbox.edx_url
    return OpenEdx(sandbox)


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("reconcile_lms", *arguments, stdout=out)
    return out.getvalue()


def refused(*arguments: str) -> tuple[str, str]:
    """Return what the command prints, and the sentence with which it exits 1."""
    out = StringIO()
    with pytest.raises(CommandError) as raised:
        call_command("reconcile_lms", *arguments, stdout=out)
    return out.getvalue(), str(raised.value)


def alerts() -> list[dict[str, Any]]:
    return [email.context for email in Email.objects.filter(kind="staff_alert").order_by("pk")]


def lose(lms: Frappe, number: int = 1, *, of: int = 2) -> None:
    course, _ = lms.courses()
    lms.end(*with_access(lms, of, course, prefix=lms.name)[:number])


def test_nothing_that_differs_is_exit_code_0(frappe: Frappe) -> None:
    lose(frappe, 0)
    assert run() == (
        "frappe: 2 looked at, 2 agreed, 0 paid without access, 0 less than was paid for,"
        " 0 access without a paid enrollment,"
        " 0 different course, 0 duplicate, 0 not clear yet, 0 not known before\n"
    )
    assert alerts() == []


def test_what_differs_is_named_exits_1_and_alerts_once(frappe: Frappe) -> None:
    lose(frappe)
    printed, sentence = refused()
    assert "1 agreed, 1 paid without access" in printed
    assert "  open: 1 paid without access\n" in printed
    assert sentence == (
        "1 open: http://testserver/admin/enrollments/accessdifference/ has the repair of each."
    )
    [alert] = alerts()
    assert alert["subject"] == DIFFERS
    assert alert["lines"] == [
        "1 new on frappe. Open: 1 paid without access.",
        "Paid without access: frappe0@example.com in data-science",
        "Each with its repair: http://testserver/admin/enrollments/accessdifference/",
    ]
    refused()
    assert len(alerts()) == 1


def test_what_is_repaired_and_lost_again_alerts_again(frappe: Frappe) -> None:
    lose(frappe)
    refused()
    assert access_repairs.repair(AccessDifference.objects.get(), by="staff")
    drained()
    run()
    frappe.end(AccessDifference.objects.get().enrollment)
    refused()
    assert [alert["subject"] for alert in alerts()] == [DIFFERS, DIFFERS]


def test_so_many_at_once_says_what_is_rather_the_cause(frappe: Frappe) -> None:
    lose(frappe, 20, of=20)
    refused()
    assert access_reconciliation.SO_MANY in alerts()[0]["lines"]


def test_a_platform_that_is_down_is_named_and_the_other_is_compared(
    frappe: Frappe, openedx: OpenEdx
) -> None:
    for lms in (frappe, openedx):
        lose(lms)
    frappe.sandbox.fault("lms", "503")
    printed, sentence = refused()
    assert "openedx: 2 looked at, 1 agreed, 1 paid without access" in printed
    assert sentence.startswith("Not everything was compared. frappe: LMS_")
    assert sentence.endswith("Run it again: it goes on where it stopped.")
    with pytest.raises(AccessNotCompared):
        access_reconciliation.run_nightly()
    frappe.sandbox.heal()
    assert access_reconciliation.run_nightly() == 1


def test_only_one_platform_is_compared_when_asked(frappe: Frappe, openedx: OpenEdx) -> None:
    lose(openedx, 0)
    assert run("--platform", "openedx").startswith("openedx: 2 looked at, 2 agreed")
    assert refused("--platform", "moodle")[1] == "--platform is one of: frappe, openedx."


def test_days_without_a_whole_comparison_alert_once(frappe: Frappe) -> None:
    lose(frappe, 0)
    before = timezone.now() - timedelta(days=3)
    AccessComparison.objects.create(platform="frappe", started_at=before, finished_at=before)
    frappe.sandbox.fault("lms", "503")
    for _ in range(2):
        refused()
    [alert] = alerts()
    assert alert["subject"] == LATE
    assert f"not since {before:%Y-%m-%d %H:%M} UTC. LMS_" in alert["lines"][0]


@pytest.mark.every_engine
def test_what_is_open_and_how_old_the_comparison_is_are_figures_for_monitors(
    frappe: Frappe, openedx: OpenEdx
) -> None:
    lose(frappe)
    refused()
    hours = timezone.now() - timedelta(hours=2)
    AccessComparison.objects.filter(platform="openedx").update(
        finished_at=None, finished_before_at=hours
    )
    found = {name: dict(rows) for name, _, rows in figures._sum_up()}
    assert found["maaledu_access_differences"] == {("frappe", "missing"): 1}
    ages = found["maaledu_access_compared_age_seconds"]
    assert ages["frappe",] < 60
    assert 7190 < ages["openedx",] < 7300


def test_the_night_compares_as_well(frappe: Frappe) -> None:
    lose(frappe)
    out = StringIO()
    call_command("nightly", stdout=out)
    assert "1 new differences of access" in out.getvalue()


@pytest.mark.every_engine
def test_killed_in_the_middle_it_goes_on_where_it_was(
    frappe: Frappe, start: Any, settings: Settings
) -> None:
    """A real process, killed while the LMS hangs over its second page."""
    lose(frappe, 2, of=150)
    frappe.sandbox.fault("lms", "hang", frappe.listing, seconds=20, skip=8)
    process: Proc = start(
        python("manage.py", "reconcile_lms", "--platform", "frappe"), LMS_CALLS_PER_SECOND="1000"
    )
    wait_until(lambda: AccessComparison.objects.filter(looked_at=100).exists(), 30)
    process.kill()
    frappe.sandbox.heal()
    half = AccessComparison.objects.get()
    assert (half.looked_at, half.finished_at, half.counts["missing"]) == (100, None, 2)
    before = len(frappe.sandbox.calls("lms", frappe.listing))
    printed, _ = refused()
    assert "frappe: 150 looked at, 148 agreed, 2 paid without access" in printed
    assert len(frappe.sandbox.calls("lms", frappe.listing)) - before <= 6
    assert AccessDifference.objects.count() == 2
    assert [alert["subject"] for alert in alerts()] == [DIFFERS]


@pytest.mark.every_engine
@pytest.mark.breaks_invariants  # rows are gone
def test_free_access_whose_rows_a_restore_has_lost_is_named(frappe: Frappe) -> None:
    """A grant of 100 % is not at Stripe: the LMS alone knows of it, and who made it there."""
    course, _ = frappe.courses()
    with_access(frappe, 2, course)  # which others made there, as far as the LMS knows
    emails = [f"made{number}@example.com" for number in range(3)]
    for email in emails:
        platform_for("frappe").enroll(EnrollRequest(email, "Asha Rao", frappe.key))
    make_pending(course, email=emails[0])
    today = timezone.now() - timedelta(days=1)
    printed, sentence = refused("--lost-since", f"{today:%Y-%m-%d}")
    assert [line.split(",")[:3] for line in printed.splitlines()] == [
        [email, frappe.key, "frappe"] for email in emails[1:]
    ]
    assert sentence.startswith("2 have access that we gave, and no enrollment here.")
    assert AccessComparison.objects.count() == 0
    later = timezone.now() + timedelta(days=1)
    assert run("--lost-since", f"{later:%Y-%m-%d}") == ""
