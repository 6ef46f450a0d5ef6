"""Differences with an LMS in the office: in plain words, repaired one by one or all at once."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils.html import strip_tags

from enrollments.models import AccessDifference, Enrollment
from lms_sync.models import SyncJob
from tests.affiliates.make import make_staff
from tests.affiliates.shop import drained, fresh
from tests.enrollments.places import Frappe, compare, differences, with_access
from tests.office.test_lists import member
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.any_engine

PAGE = "/admin/enrollments/accessdifference/"
BOSS = "boss@example.com"


@pytest.fixture
def frappe(sandbox: Sandbox) -> Frappe:
    return Frappe(sandbox)


@pytest.fixture
def boss(db: None) -> Client:
    client = Client()
    client.force_login(make_staff(email=BOSS))
    return client


def words(answer: Any) -> str:
    return " ".join(strip_tags(answer.content.decode().replace("<", " <")).split())


def two_lost_one_twice(frappe: Frappe) -> tuple[Enrollment, Enrollment, Enrollment]:
    course, _ = frappe.courses()
    first, second, twice = with_access(frappe, 3, course)
    frappe.end(first, second)
    frappe.enroll([twice.email])
    compare(frappe)
    return first, second, twice


def decide(client: Client, difference: AccessDifference, name: str, **form: str) -> Any:
    return client.post(f"{PAGE}{difference.pk}/{name}/", {"decide": "1", **form}, follow=True)


def test_one_is_shown_in_plain_words_and_repaired(boss: Client, frappe: Frappe) -> None:
    first, *_ = two_lost_one_twice(frappe)
    difference = AccessDifference.objects.get(enrollment=first)
    shown = words(boss.get(f"{PAGE}{difference.pk}/repair/"))
    assert "The learner has paid, and is not enrolled in the LMS any more." in shown
    assert f"Enroll the learner in {frappe.key} again." in shown
    assert SyncJob.objects.filter(status="pending").count() == 0
    assert "Repair begun" in words(decide(boss, difference, "repair"))
    assert (fresh(difference).status, fresh(difference).decided_by) == ("repairing", BOSS)
    drained()
    assert fresh(first).has_access
    assert [entry.change_message for entry in LogEntry.objects.all()] == ["repair begun"]
    again = decide(boss, difference, "repair")
    assert "somebody else may have decided already" in words(again)


@pytest.mark.every_engine
def test_all_that_is_open_is_shown_and_repaired_at_once(boss: Client, frappe: Frappe) -> None:
    first, _, twice = two_lost_one_twice(frappe)
    page = boss.get(f"{PAGE}repair_all/")
    shown = words(page)
    assert "Paid without access The learner has paid" in shown
    assert f"Remove {twice.lms_enrollment_id}, which we made." in shown
    seen = page.context["form"].initial["seen"]
    done = boss.post(f"{PAGE}repair_all/", {"decide": "1", "seen": seen}, follow=True)
    assert "3 repairs begun, 0 are not ours to repair." in words(done)
    drained()
    assert {status for _, _, status in differences()} == {"settled"}
    assert fresh(first).has_access
    assert LogEntry.objects.filter(change_message="repair begun").count() == 3
    assert "Nothing is open" in words(boss.get(f"{PAGE}repair_all/"))


def test_nobody_repairs_what_they_did_not_see(boss: Client, frappe: Frappe) -> None:
    two_lost_one_twice(frappe)
    answer = boss.post(f"{PAGE}repair_all/", {"decide": "1", "seen": "2 earlier"}, follow=True)
    assert "What is open has changed since this page was opened" in words(answer)
    assert {status for _, _, status in differences()} == {"open"}
    assert SyncJob.objects.filter(status="pending").count() == 0


@pytest.mark.every_engine
def test_some_of_the_list_are_repaired_and_what_is_not_ours_is_skipped(
    boss: Client, frappe: Frappe
) -> None:
    first, _, twice = two_lost_one_twice(frappe)
    AccessDifference.objects.filter(enrollment=twice).update(rows=[])
    chosen = AccessDifference.objects.filter(enrollment__in=[first, twice])
    form = {"action": "repair", "_selected_action": [str(each.pk) for each in chosen]}
    assert "None by us: nothing that we made can be taken away" in words(boss.post(PAGE, form))
    done = words(boss.post(PAGE, {**form, "decide": "1"}, follow=True))
    assert "1 repair begun, 1 skipped." in done
    assert (twice.email, "double", "open") in differences()


def test_one_is_left_as_it_is_with_the_reason(boss: Client, frappe: Frappe) -> None:
    first, *_ = two_lost_one_twice(frappe)
    difference = AccessDifference.objects.get(enrollment=first)
    assert "Say why" in words(decide(boss, difference, "leave"))
    decide(boss, difference, "leave", reason="Expelled by the school")
    assert (fresh(difference).status, fresh(difference).reason) == (
        "left",
        "Expelled by the school",
    )
    assert LogEntry.objects.get().change_message == "left as it is: Expelled by the school"


@pytest.mark.every_engine
def test_who_may_look_sees_the_list_and_decides_nothing(frappe: Frappe) -> None:
    first, *_ = two_lost_one_twice(frappe)
    client = member("view_accessdifference")
    page = words(client.get(PAGE, {"status__exact": "open", "q": first.email}))
    assert "Paid without access" in page
    assert first.email in page
    assert client.get(f"{PAGE}repair_all/").status_code == 403


def test_the_enrollments_own_retry_is_the_repair(boss: Client, frappe: Frappe) -> None:
    first, *_ = two_lost_one_twice(frappe)
    form = {"action": "retry_sync", "_selected_action": [str(first.pk)]}
    boss.post("/admin/enrollments/enrollment/", form, follow=True)
    assert (first.email, "missing", "repairing") in differences()
    drained()
    assert fresh(first).has_access


# --- the first page -------------------------------------------------------------------------------
@pytest.mark.every_engine
def test_the_pages_of_an_enrollment_and_of_a_difference_show_words_and_no_codes(
    boss: Client, frappe: Frappe
) -> None:
    """What colors a cell of a list is a code; a row's own page shows the words alone."""
    first, *_ = two_lost_one_twice(frappe)
    enrollment = boss.get(f"/admin/enrollments/enrollment/{first.pk}/change/")
    difference = AccessDifference.objects.get(enrollment=first)
    for shown, text in (
        (enrollment, "access lost"),
        (boss.get(f"{PAGE}{difference.pk}/change/"), "open"),
    ):
        assert text in words(shown)
        assert "(&#x27;" not in shown.content.decode()


def test_less_than_was_paid_for_is_shown_with_what_it_lacks(boss: Client, frappe: Frappe) -> None:
    course, _ = frappe.courses()
    [less] = with_access(frappe, 1, course)
    frappe.lessen(less)
    compare(frappe)
    difference = AccessDifference.objects.get()
    shown = words(boss.get(f"{PAGE}{difference.pk}/repair/"))
    assert "The learner is enrolled in the LMS, and cannot use it as it was paid for." in shown
    assert "user switched off" in shown
    assert f"Give the learner in {frappe.key} what was paid for." in shown
    decide(boss, difference, "repair")
    drained()
    assert (fresh(less).has_access, fresh(difference).status) == (True, "settled")
