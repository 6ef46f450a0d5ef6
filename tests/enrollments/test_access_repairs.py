"""What staff decide about a difference is done in the LMS once, and nothing else is touched."""

import os
import tracemalloc
from typing import Any

import pytest
from pytest_django import Settings

from enrollments import access_repairs
from enrollments.errors import DifferenceIsOver, NotRepairable
from enrollments.models import AccessDifference, Enrollment
from lms_sync.models import DeadLetter, SyncJob
from notifications.models import Email
from tests.affiliates.shop import buy, drained, fresh, provision
from tests.enrollments.places import (
    Frappe,
    OpenEdx,
    compare,
    counts,
    differences,
    end_here,
    with_access,
)
from tests.enrollments.test_revocation import refund
from tests.factories import make_course
from tests.sandbox_client import Sandbox
from tests.statements import statements

STAFF = "staff@example.com"
PLACES = int(os.environ.get("COMPARED_PLACES", "32"))
SEEDED = 20 if PLACES >= 200 else 3
MEGABYTE = 1024 * 1024


@pytest.fixture(params=[Frappe, OpenEdx], ids=["frappe", "openedx"])
def lms(request: pytest.FixtureRequest, sandbox: Sandbox, settings: Settings) -> Any:
    settings.OPENEDX_BASE_URL = sandbox.edx_url
    sandbox.edx(api_limit=100 * PLACES)  # no pause a minute, which is tried by itself
    return request.param(sandbox)


@pytest.fixture
def frappe(sandbox: Sandbox) -> Frappe:
    return Frappe(sandbox)


def repair_all() -> int:
    """Decide so about all that is open, and return how many that were."""
    is_open = list(AccessDifference.objects.open())
    assert all(access_repairs.repair(each, by=STAFF) for each in is_open)
    return len(is_open)


def others(rows: Any, *touched: Enrollment) -> Any:
    emails = {each.email for each in touched}
    return {row for row in rows if row[1] not in emails}


# --- all of it, among many ------------------------------------------------------------------------
@pytest.mark.every_engine
@pytest.mark.breaks_invariants  # refunds without money
def test_each_class_among_many_is_found_and_repaired_and_nothing_else_is_touched(
    lms: Frappe,
) -> None:
    """With COMPARED_PLACES=5000, each class is there 20 times."""
    course, _ = lms.courses()
    everybody = with_access(lms, PLACES, course)
    parts = [everybody[SEEDED * n : SEEDED * (n + 1)] for n in range(5)]
    gone, moved, ended, twice, less = parts
    for change, some in [(lms.end, gone), (lms.move, moved), (end_here, ended), (lms.lessen, less)]:
        change(*some)
    kinds = ["missing", "elsewhere", "unpaid", "less"]
    if lms.name == "frappe":  # Open edX cannot have one twice
        lms.enroll([each.email for each in twice])
        kinds.append("double")
    untouched = others(lms.rows(), *gone, *moved, *ended, *twice, *less)
    rows_here = {each.pk: each.lms_enrollment_id for each in everybody[SEEDED * 4 :]}

    first = measured(lms)
    assert {kind: first[kind] for kind in kinds} == dict.fromkeys(kinds, SEEDED)
    assert first["agrees"] == PLACES - SEEDED * len(kinds)
    assert first["new"] == repair_all() == SEEDED * len(kinds)
    drained()

    second = measured(lms)
    assert second == {"looked_at": PLACES, "agrees": PLACES}
    assert {status for _, _, status in differences()} == {"settled"}
    assert others(lms.rows(), *gone, *moved, *ended, *twice, *less) == untouched
    left = Enrollment.objects.filter(pk__in=rows_here)
    assert dict(left.values_list("pk", "lms_enrollment_id")) == rows_here
    with_a_place = {(each.email, lms.key) for each in everybody if each not in ended}
    strangers = {(each.email, lms.other_key) for each in moved} if lms.name == "openedx" else set()
    assert {row[1:] for row in lms.rows()} == with_a_place | strangers
    assert len(lms.rows()) == len(with_a_place | strangers)
    assert Email.objects.filter(kind="purchase_confirmation").count() == PLACES


def measured(lms: Frappe) -> dict[str, int]:
    """Compare, and print what it cost."""
    calls = len(lms.sandbox.calls(lms.target))
    tracemalloc.start()
    with statements() as asked:
        found = compare(lms)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.finished_at is not None
    seconds = (found.finished_at - found.started_at).total_seconds()
    calls = len(lms.sandbox.calls(lms.target)) - calls
    print(
        f"{lms.name}: {found.looked_at} places, {calls} calls, {len(asked)} statements,"
        f" {peak / MEGABYTE:.1f} MB at the peak, {seconds:.1f} s: {found}"
    )
    assert peak < 10 * MEGABYTE
    return counts(found)


# --- one by one -----------------------------------------------------------------------------------
@pytest.mark.every_engine
def test_lost_access_is_given_again_without_a_second_confirmation(
    sandbox: Sandbox, frappe: Frappe
) -> None:
    enrollment, _ = buy(sandbox, make_course(lms_course_id=frappe.courses()[0].lms_course_id))
    drained()
    before = fresh(enrollment)
    frappe.end(before)
    compare(frappe)
    difference = AccessDifference.objects.get()
    assert access_repairs.plan_of(difference) == access_repairs.Plan()
    assert access_repairs.repair(difference, by=STAFF)
    assert not access_repairs.repair(difference, by=STAFF)
    assert fresh(enrollment).lms_status == "pending"
    drained()
    after = fresh(enrollment)
    assert (after.has_access, after.access_generation) == (True, 1)
    assert after.lms_enrollment_id not in ("", before.lms_enrollment_id)
    assert {row[0] for row in frappe.rows()} == {after.lms_enrollment_id}
    assert (fresh(difference).status, fresh(difference).decided_by) == ("settled", STAFF)
    assert Email.objects.filter(kind="purchase_confirmation").count() == 1
    assert enrollment.events.filter(actor=STAFF).count() == 1


@pytest.mark.any_engine
def test_a_refund_after_a_repair_takes_the_new_access_back(
    sandbox: Sandbox, frappe: Frappe
) -> None:
    enrollment, payment = buy(sandbox, make_course(lms_course_id="data-science"))
    drained()
    frappe.end(fresh(enrollment))
    compare(frappe)
    repair_all()
    drained()
    refund(payment)
    drained()
    assert (fresh(enrollment).lms_status, frappe.rows()) == ("revoked", set())


@pytest.mark.any_engine
@pytest.mark.every_engine
def test_a_refund_of_lost_access_ends_it_and_there_is_nothing_to_repair(
    sandbox: Sandbox, frappe: Frappe
) -> None:
    enrollment, payment = buy(sandbox, make_course(lms_course_id="data-science"))
    drained()
    frappe.end(fresh(enrollment))
    compare(frappe)
    refund(payment)
    difference = AccessDifference.objects.get()
    with pytest.raises(DifferenceIsOver):
        access_repairs.repair(difference, by=STAFF)
    assert (fresh(difference).status, SyncJob.objects.filter(action="repair").count()) == (
        "open",
        0,
    )
    drained()
    assert fresh(enrollment).lms_status == "revoked"


@pytest.mark.any_engine
def test_of_two_the_one_with_work_in_it_is_kept(frappe: Frappe) -> None:
    course, _ = frappe.courses()
    [twice] = with_access(frappe, 1, course)
    [theirs] = frappe.enroll([twice.email], current_lesson="lesson-1")
    compare(frappe)
    plan = access_repairs.plan_of(AccessDifference.objects.get())
    assert (plan.kept, plan.removed, plan.left) == (theirs, (twice.lms_enrollment_id,), ())
    repair_all()
    drained()
    assert {row[0] for row in frappe.rows()} == {theirs}
    kept = fresh(twice)
    assert (kept.lms_enrollment_id, kept.lms_origin, kept.has_access) == (theirs, "found", True)
    assert counts(compare(frappe)) == {"looked_at": 1, "agrees": 1}


@pytest.mark.any_engine
def test_what_others_made_is_never_removed(frappe: Frappe) -> None:
    """There is work in ours: the other one is its maker's to remove."""
    course, _ = frappe.courses()
    [twice] = with_access(frappe, 1, course)
    step = {"email": twice.email, "course": frappe.key, "percent": 20}
    frappe.sandbox.lms(progress=step)
    frappe.enroll([twice.email])
    compare(frappe)
    before = frappe.rows()
    with pytest.raises(NotRepairable):
        access_repairs.repair(AccessDifference.objects.get(), by=STAFF)
    drained()
    assert (frappe.rows(), differences()) == (before, [(twice.email, "double", "open")])


@pytest.mark.any_engine
def test_of_two_with_work_in_both_none_is_removed(frappe: Frappe) -> None:
    """The older one would be kept, and ours removed, if it were not for the work in it."""
    course, _ = frappe.courses()
    [twice] = with_access(frappe, 1, course)
    frappe.sandbox.lms(progress={"email": twice.email, "course": frappe.key, "percent": 20})
    frappe.enroll([twice.email], current_lesson="x", creation="2026-01-01 00:00:00.000000")
    compare(frappe)
    with pytest.raises(NotRepairable):
        access_repairs.repair(AccessDifference.objects.get(), by=STAFF)


@pytest.mark.any_engine
def test_work_that_began_after_the_preview_is_kept_and_the_difference_stays_open(
    frappe: Frappe,
) -> None:
    course, _ = frappe.courses()
    [twice] = with_access(frappe, 1, course)
    frappe.enroll([twice.email])
    compare(frappe)
    repair_all()
    frappe.sandbox.lms(progress={"email": twice.email, "course": frappe.key, "percent": 20})
    before = frappe.rows()
    drained()
    assert (frappe.rows(), differences()) == (before, [(twice.email, "double", "open")])


@pytest.mark.any_engine
@pytest.mark.breaks_invariants  # a place that nobody bought
def test_what_we_made_stays_in_another_course_that_is_paid_for_meanwhile(frappe: Frappe) -> None:
    first, second = frappe.courses()
    [moved] = with_access(frappe, 1, first)
    frappe.move(moved)
    compare(frappe)
    repair_all()
    ours = moved.lms_enrollment_id
    Enrollment.objects.create(
        course=second, email=moved.email, kind="free", course_title="B", course_slug="b",
        lms_platform="frappe", lms_course_id=frappe.other_key, list_price=0, amount=0,
        currency="usd", status="paid", lms_status="awaiting_account",
    )  # fmt: skip
    provision(3)
    assert ours in {row[0] for row in frappe.rows()}


@pytest.mark.every_engine
def test_a_repair_that_the_lms_refuses_is_a_dead_letter_and_stays_visible(frappe: Frappe) -> None:
    course, _ = frappe.courses()
    [gone] = with_access(frappe, 1, course)
    frappe.end(gone)
    compare(frappe)
    repair_all()
    frappe.sandbox.fault("lms", "417", "POST /api/resource/LMS Enrollment")
    provision()
    assert (fresh(gone).lms_status, DeadLetter.objects.get().status) == ("failed", "open")
    assert differences() == [(gone.email, "missing", "repairing")]
    assert counts(compare(frappe)) == {"looked_at": 0}
    assert differences() == [(gone.email, "missing", "repairing")]


@pytest.mark.every_engine
@pytest.mark.any_engine
def test_what_is_left_as_it_is_stays_so_until_both_agree(frappe: Frappe) -> None:
    course, _ = frappe.courses()
    [gone] = with_access(frappe, 1, course)
    frappe.end(gone)
    compare(frappe)
    difference = AccessDifference.objects.get()
    assert access_repairs.leave(difference, by=STAFF, reason="Expelled.")
    assert not access_repairs.leave(difference, by=STAFF, reason="Again.")
    assert counts(compare(frappe)) == {"looked_at": 1, "missing": 1}
    assert differences() == [(gone.email, "missing", "left")]
    frappe.enroll([gone.email])
    compare(frappe)
    assert differences() == [(gone.email, "missing", "settled")]


@pytest.mark.any_engine
@pytest.mark.every_engine
def test_what_is_lost_is_not_given_again_by_itself(frappe: Frappe) -> None:
    """Not by the sweep either, once the job that gave it has been deleted."""
    course, _ = frappe.courses()
    [gone] = with_access(frappe, 1, course)
    frappe.end(gone)
    compare(frappe)
    SyncJob.objects.all().delete()
    assert access_repairs.lms_jobs.repair_jobs() == 0
    assert SyncJob.objects.count() == 0
    assert access_repairs.retry(fresh(gone), by=STAFF)
    assert differences() == [(gone.email, "missing", "repairing")]
