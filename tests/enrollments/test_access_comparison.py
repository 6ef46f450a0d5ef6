"""Our enrollments compared with each LMS's, both ways: what differs is found, and only that."""

from datetime import timedelta
from typing import Any
from urllib.parse import unquote_plus

import pytest
from django.utils import timezone
from pytest_django import Settings

from enrollments import access_comparison, access_differences, access_repairs
from enrollments.models import AccessComparison, AccessDifference, Enrollment, EnrollmentEvent
from lms_sync.models import DeadLetter, PlatformState, SyncJob
from tests.affiliates.shop import BUYER, buy, drained, fresh
from tests.enrollments.places import (
    KEY,
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

pytestmark = pytest.mark.any_engine


@pytest.fixture(params=[Frappe, OpenEdx], ids=["frappe", "openedx"])
def lms(request: pytest.FixtureRequest, sandbox: Sandbox, settings: Settings) -> Any:
    settings.OPENEDX_BASE_URL = sandbox.edx_url
    settings.LMS_COMPARE_PATIENCE = timedelta(seconds=0.1)
    return request.param(sandbox)


@pytest.fixture
def frappe(sandbox: Sandbox) -> Frappe:
    return Frappe(sandbox)


@pytest.fixture
def openedx(sandbox: Sandbox, settings: Settings) -> OpenEdx:
    settings.OPENEDX_BASE_URL = sandbox.edx_url
    return OpenEdx(sandbox)


# --- what differs ---------------------------------------------------------------------------------
@pytest.mark.every_engine
@pytest.mark.breaks_invariants  # refunds without money
def test_each_class_is_found_and_what_agrees_is_not(lms: Frappe) -> None:
    course, _ = lms.courses()
    gone, moved, ended, taken_back, _ = with_access(lms, 5, course)
    lms.end(gone, taken_back)
    lms.move(moved)
    end_here(ended, taken_back)
    assert counts(compare(lms)) == {
        "looked_at": 5, "agrees": 2, "missing": 1, "unpaid": 1, "elsewhere": 1, "new": 3,
    }  # fmt: skip
    assert differences() == [
        (gone.email, "missing", "open"),
        (moved.email, "elsewhere", "open"),
        (ended.email, "unpaid", "open"),
    ]
    assert set(Enrollment.objects.filter(lms_status="lost")) == {gone, moved}
    assert EnrollmentEvent.objects.filter(note=access_differences.LOST).count() == 2
    [row] = AccessDifference.objects.get(kind="elsewhere").rows
    assert (row["course"], row["ours"]) == (lms.other_key, lms.name == "frappe")


def test_a_duplicate_is_found_and_what_a_batch_of_the_lms_gave_is_none(frappe: Frappe) -> None:
    course, _ = frappe.courses()
    twice, in_batch, _ = with_access(frappe, 3, course)
    frappe.enroll([twice.email])
    frappe.enroll([in_batch.email], enrollment_from_batch="spring")
    found = compare(frappe)
    assert counts(found) == {"looked_at": 3, "agrees": 2, "double": 1, "new": 1}
    assert differences() == [(twice.email, "double", "open")]
    assert [row["ours"] for row in AccessDifference.objects.get().rows] == [True, False]
    assert fresh(twice).has_access


def test_less_than_was_paid_for_is_found_and_given_again_and_stays_ours(
    sandbox: Sandbox, lms: Frappe
) -> None:
    """L7: a mode lowered by hand, a user switched off: the row is there, and is of no use."""
    course, _ = lms.courses()
    [other] = with_access(lms, 1, course)
    lms.enroll([BUYER], lms.other_key)  # there is an account
    enrollment, payment = buy(sandbox, course)
    drained()
    lms.lessen(enrollment)
    assert counts(compare(lms)) == {"looked_at": 2, "agrees": 1, "less": 1, "new": 1}
    assert differences() == [(enrollment.email, "less", "open")]
    difference = AccessDifference.objects.get()
    [row] = difference.rows
    words = {"frappe": "with the learner's user switched off", "openedx": "in the mode audit"}
    assert (row["ours"], row["lacking"]) == (True, words[lms.name])
    assert fresh(enrollment).lms_status == "lost"
    assert EnrollmentEvent.objects.filter(note=access_differences.LOWERED).count() == 1
    assert access_repairs.repair(difference, by="staff@example.com")
    drained()
    assert (fresh(enrollment).has_access, fresh(enrollment).lms_origin) == (True, "made")
    assert counts(compare(lms)) == {"looked_at": 2, "agrees": 2}
    assert differences() == [(enrollment.email, "less", "settled")]
    refund(payment)
    drained()
    left = {each[1:] for each in lms.rows()}
    assert left == {(other.email, lms.key), (enrollment.email, lms.other_key)}


def test_whose_user_a_key_is_not_shown_is_compared_all_the_same(frappe: Frappe) -> None:
    course, _ = frappe.courses()
    with_access(frappe, 2, course)
    frappe.sandbox.fault("lms", "403", "GET /api/resource/User")
    assert counts(compare(frappe)) == {"looked_at": 2, "agrees": 2}


def test_what_comes_back_by_itself_is_settled(lms: Frappe) -> None:
    course, _ = lms.courses()
    [lost] = with_access(lms, 1, course)
    lms.end(lost)
    compare(lms)
    assert fresh(lost).lms_status == "lost"
    lms.enroll([lost.email])
    assert counts(compare(lms)) == {"looked_at": 1, "agrees": 1}
    assert (fresh(lost).lms_status, differences()) == (
        "success",
        [(lost.email, "missing", "settled")],
    )
    assert EnrollmentEvent.objects.filter(note=access_differences.FOUND_AGAIN).count() == 1


def test_what_turns_into_another_kind_is_one_difference(frappe: Frappe) -> None:
    course, _ = frappe.courses()
    [lost] = with_access(frappe, 1, course)
    frappe.end(lost)
    compare(frappe)
    frappe.enroll([lost.email], frappe.other_key)
    compare(frappe)
    assert differences() == [
        (lost.email, "elsewhere", "open"),
        (lost.email, "missing", "settled"),
    ]
    assert fresh(lost).lms_status == "lost"


def test_what_has_ended_since_is_settled(sandbox: Sandbox, frappe: Frappe) -> None:
    enrollment, payment = buy(sandbox, make_course(lms_course_id=frappe.courses()[0].lms_course_id))
    drained()
    frappe.end(fresh(enrollment))
    compare(frappe)
    refund(payment)
    drained()
    assert counts(compare(frappe)) == {"looked_at": 1, "agrees": 1}
    assert differences() == [(enrollment.email, "missing", "settled")]
    assert fresh(enrollment).lms_status == "revoked"


@pytest.mark.breaks_invariants  # a refund without money
def test_a_seat_that_anybody_may_take_after_a_refund_is_no_access_of_ours(openedx: OpenEdx) -> None:
    course, _ = openedx.courses()
    [ended] = with_access(openedx, 1, course)
    end_here(ended)
    openedx.enroll([ended.email], mode="audit")
    assert counts(compare(openedx)) == {"looked_at": 1, "agrees": 1}


@pytest.mark.breaks_invariants  # a refund without money
def test_what_others_gave_after_a_refund_is_not_ours_to_find(frappe: Frappe) -> None:
    course, _ = frappe.courses()
    [ended] = with_access(frappe, 1, course)
    end_here(ended)
    frappe.end(ended)
    frappe.enroll([ended.email])
    assert counts(compare(frappe)) == {"looked_at": 1, "agrees": 1}


@pytest.mark.every_engine
@pytest.mark.breaks_invariants  # a refund without money
def test_access_that_another_paid_place_gives_is_none_without_one(lms: Frappe) -> None:
    course, _ = lms.courses()
    [first] = with_access(lms, 1, course)
    end_here(first)
    [second] = with_access(lms, 1, course)
    if lms.name == "frappe":
        lms.end(second)
        ours = {"lms_enrollment_id": first.lms_enrollment_id}
        Enrollment.objects.filter(pk=second.pk).update(**ours)
        SyncJob.objects.filter(lms_enrollment_id=second.lms_enrollment_id).update(**ours)
    assert counts(compare(lms)) == {"looked_at": 2, "agrees": 1, "waits": 1}
    assert differences() == []


# --- what only seems to differ --------------------------------------------------------------------
def test_a_learner_with_another_address_there_by_now_still_has_access(lms: Frappe) -> None:
    course, _ = lms.courses()
    [renamed] = with_access(lms, 1, course)
    lms.rename_learner(renamed.email, "new@example.com")
    assert counts(compare(lms)) == {"looked_at": 1, "agrees": 1}


def test_what_was_given_to_another_learner_is_missing(frappe: Frappe) -> None:
    """The row is there, under a learner who is not ours: our learner's own user has nothing."""
    course, _ = frappe.courses()
    [robbed] = with_access(frappe, 1, course)
    frappe.rename_learner(robbed.email, "new@example.com")
    frappe.sandbox.lms(users=[{"email": robbed.email, "first_name": "Asha"}])
    assert counts(compare(frappe)) == {"looked_at": 1, "missing": 1, "new": 1}


def test_a_user_name_that_was_changed_is_no_difference(openedx: OpenEdx) -> None:
    course, _ = openedx.courses()
    [renamed] = with_access(openedx, 1, course)
    openedx.sandbox.edx(change_username={"email": renamed.email, "to": "Asha.R @home"})
    assert counts(compare(openedx)) == {"looked_at": 1, "agrees": 1}


@pytest.mark.every_engine
@pytest.mark.parametrize("is_corrected", [True, False])
def test_a_course_with_another_name_by_now_is_no_difference(
    frappe: Frappe, *, is_corrected: bool
) -> None:
    course, _ = frappe.courses()
    with_access(frappe, 2, course)
    renamed = {"name": frappe.key, "to": "data-science-2"}
    frappe.sandbox.lms(courses_any=False, rename_course=renamed)
    if is_corrected:
        type(course).objects.filter(pk=course.pk).update(lms_course_id="data-science-2")
    for _ in range(2):
        assert counts(compare(frappe)) == {"looked_at": 2, "agrees": 2}
    # L6: where the learner is led, and what progress is asked by.
    assert {each.lms_course_id for each in Enrollment.objects.all()} == {"data-science-2"}
    assert EnrollmentEvent.objects.filter(actor="comparison with the LMS").count() == 2


def test_the_name_of_a_course_in_another_case_is_no_difference(lms: Frappe) -> None:
    course, _ = lms.courses()
    [upper] = with_access(lms, 1, course)
    Enrollment.objects.filter(pk=upper.pk).update(lms_course_id=lms.key.upper())
    assert counts(compare(lms)) == {"looked_at": 1, "agrees": 1}


def test_a_new_run_of_a_course_does_not_make_the_old_one_a_difference(openedx: OpenEdx) -> None:
    """Staff have given the course the key of next year's run."""
    course, _ = openedx.courses()
    with_access(openedx, 1, course)
    type(course).objects.filter(pk=course.pk).update(lms_course_id=KEY.replace("2026", "2027"))
    assert counts(compare(openedx)) == {"looked_at": 1, "agrees": 1}


def test_who_waits_for_an_account_is_not_asked_about(sandbox: Sandbox, openedx: OpenEdx) -> None:
    course, _ = openedx.courses()
    enrollment, _ = buy(sandbox, course)
    SyncJob.objects.update(next_attempt_at=timezone.now())
    access_comparison.compare("openedx")
    assert counts(compare(openedx)) == {"looked_at": 0}
    assert fresh(enrollment).status == "paid"


@pytest.mark.every_engine
@pytest.mark.breaks_invariants  # jobs that nobody staged
def test_what_a_job_may_explain_waits(frappe: Frappe) -> None:
    """A look is due after a lost answer: the double is known, and removed by itself."""
    course, _ = frappe.courses()
    twice, gone = with_access(frappe, 2, course)
    frappe.enroll([twice.email])
    frappe.end(gone)
    for each, status in ((twice, "pending"), (gone, "dead")):
        SyncJob.objects.create(
            dedupe_key=f"look:{each.pk}", action="look", status=status, platform="frappe",
            email=each.email, course_id=frappe.key, payload={"enrollment_id": str(each.pk)},
        )  # fmt: skip
    now = timezone.now()
    letter = DeadLetter.objects.create(
        job=SyncJob.objects.get(status="dead"), reason="X", first_attempt_at=now,
        last_attempt_at=now,
    )  # fmt: skip
    assert counts(compare(frappe)) == {"looked_at": 2, "waits": 2}
    assert differences() == []
    DeadLetter.objects.filter(pk=letter.pk).update(status="dismissed")
    assert counts(compare(frappe)) == {"looked_at": 2, "waits": 1, "missing": 1, "new": 1}


@pytest.mark.breaks_invariants  # access given anew, without its job
def test_an_enrollment_that_changes_while_the_lms_is_asked_is_no_difference(frappe: Frappe) -> None:
    """The page was read while it was paid, and the LMS was asked after it was taken back."""
    course, _ = frappe.courses()
    [ended] = with_access(frappe, 1, course)
    frappe.end(ended)
    page = [fresh(ended)]
    Enrollment.objects.filter(pk=ended.pk).update(access_generation=1)
    ask = access_comparison.Asking("frappe")
    verdict = access_differences.compare(page[0], [], ask, in_short=True)
    assert (verdict.kind, ask.count()) == ("waits", 0)


@pytest.mark.parametrize("number", [1, 2])
def test_a_list_that_leaves_learners_out_makes_no_difference(frappe: Frappe, number: int) -> None:
    course, _ = frappe.courses()
    with_access(frappe, 4, course)
    frappe.sandbox.fault("lms", "half_list", frappe.listing, times=number)
    found = access_comparison.compare("frappe")
    assert counts(found) == {"looked_at": 4, "agrees": 4}


@pytest.mark.parametrize("mode", ["half_answer", "html_200", "503"])
def test_an_answer_that_cannot_be_read_stops_it_and_says_so(lms: Frappe, mode: str) -> None:
    course, _ = lms.courses()
    [gone] = with_access(lms, 1, course)
    lms.end(gone)
    lms.sandbox.fault(lms.target, mode, lms.listing)
    found = access_comparison.compare(lms.name)
    assert (found.finished_at, found.looked_at, differences()) == (None, 0, [])
    assert found.failure.startswith("LMS_")
    lms.sandbox.heal()
    assert counts(compare(lms)) == {"looked_at": 1, "missing": 1, "new": 1}


# --- how it goes on -------------------------------------------------------------------------------
def test_what_was_cut_off_goes_on_after_the_last_page_that_was_done(
    lms: Frappe, settings: Settings
) -> None:
    settings.LMS_COMPARE_PAGE = 2
    course, _ = lms.courses()
    made = with_access(lms, 5, course)
    lms.end(made[4])
    lms.sandbox.fault(lms.target, "503", lms.listing, skip=2)
    cut_off = access_comparison.compare(lms.name)
    assert (cut_off.looked_at, cut_off.after, cut_off.finished_at) == (4, made[3].pk, None)
    lms.sandbox.heal()
    before = len(lms.sandbox.calls(lms.target, lms.listing))
    found = compare(lms)
    assert counts(found) == {"looked_at": 5, "agrees": 4, "missing": 1, "new": 1}
    again = len(lms.sandbox.calls(lms.target, lms.listing)) - before
    assert again <= 6  # about one learner, not about five
    assert AccessComparison.objects.get().failure == ""


def test_of_two_at_once_one_stops(frappe: Frappe, settings: Settings) -> None:
    course, _ = frappe.courses()
    with_access(frappe, 1, course)
    mine = access_comparison._start("frappe")
    assert counts(compare(frappe)) == {"looked_at": 1, "agrees": 1}
    with pytest.raises(access_comparison.ComparedElsewhere):
        access_comparison._take_page(mine, access_comparison.Asking("frappe"))
    assert AccessComparison.objects.get().looked_at == 1


def test_a_platform_that_is_down_waits_and_the_other_goes_on(
    sandbox: Sandbox, frappe: Frappe, openedx: OpenEdx
) -> None:
    for lms in (frappe, openedx):
        course, _ = lms.courses()
        with_access(lms, 1, course, prefix=lms.name)
    PlatformState.objects.create(name="frappe", state="open", retry_at=timezone.now())
    calls = len(sandbox.calls("lms"))
    found = access_comparison.compare("frappe")
    assert found.failure.startswith("LMS_PARKED")
    assert len(sandbox.calls("lms")) == calls
    assert counts(compare(openedx)) == {"looked_at": 1, "agrees": 1}


def test_it_makes_no_call_while_jobs_need_them(lms: Frappe) -> None:
    course, _ = lms.courses()
    with_access(lms, 1, course)
    soon = timezone.now() + timedelta(seconds=20)
    PlatformState.objects.create(name=lms.name, next_call_at=soon)
    calls = len(lms.sandbox.calls(lms.target))
    found = access_comparison.compare(lms.name)
    assert found.failure.startswith("LMS_PACED")
    assert len(lms.sandbox.calls(lms.target)) == calls


def test_it_pauses_as_long_as_the_lms_asks_for(openedx: OpenEdx, settings: Settings) -> None:
    settings.LMS_COMPARE_PATIENCE = timedelta(seconds=30)
    course, _ = openedx.courses()
    [gone] = with_access(openedx, 1, course)
    openedx.end(gone)
    openedx.sandbox.fault("openedx", "429", openedx.listing, times=1, retry_after=2)
    began = timezone.now()
    assert counts(compare(openedx)) == {"looked_at": 1, "missing": 1, "new": 1}
    assert (timezone.now() - began).total_seconds() >= 1.9


def test_a_known_duplicate_that_a_list_leaves_out_is_still_one(frappe: Frappe) -> None:
    course, _ = frappe.courses()
    [twice] = with_access(frappe, 1, course)
    frappe.enroll([twice.email])
    compare(frappe)
    frappe.sandbox.fault("lms", "half_list", frappe.listing, times=1)
    compare(frappe)
    assert differences() == [(twice.email, "double", "open")]


def test_an_old_one_that_was_cut_off_begins_anew(frappe: Frappe) -> None:
    course, _ = frappe.courses()
    with_access(frappe, 1, course)
    days = timezone.now() - timedelta(days=3)
    AccessComparison.objects.create(
        platform="frappe", phase="ended", looked_at=7, counts={"agrees": 7}, updated_at=days
    )
    assert counts(compare(frappe)) == {"looked_at": 1, "agrees": 1}


def test_a_page_that_the_lms_cuts_off_goes_on_where_it_was(frappe: Frappe) -> None:
    """From its beginning, a page with many differences would never come to its end."""
    course, _ = frappe.courses()
    gone, moved, _ = with_access(frappe, 3, course)
    frappe.end(gone)
    frappe.move(moved)
    frappe.sandbox.fault("lms", "429", "GET /api/resource/LMS Course", times=1, retry_after=1)
    found = counts(compare(frappe))
    assert found == {"looked_at": 3, "agrees": 1, "missing": 1, "elsewhere": 1, "new": 2}
    asked = [unquote_plus(call["query"]) for call in frappe.sandbox.calls("lms", frappe.listing)]
    assert sum(f'["member", "=", "{gone.email}"]' in query for query in asked) == 1
