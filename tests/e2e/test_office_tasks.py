"""What staff do all day, from the first page on, in no more clicks than it should take.

Grants are answered in `test_grant_triage`, and two persons pay affiliates in `test_affiliates`.
"""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.clicks import Office
from tests.e2e.inspection import Inspector
from tests.e2e.running_demo import RunningDemo
from tests.e2e.shopping import buy, expect_state, new_email
from tests.e2e.test_office import enter_office
from tests.e2e.test_outages import enroll_for_free, shown_state
from tests.e2e.visitor import Visitor
from tests.sandbox_client import Sandbox, wait_until

COURSE = "public-procurement-in-practice"


@pytest.fixture
def office(visit: Callable[..., Visitor], sandbox: Sandbox) -> Office:
    return Office(visit())


def row_of(page: Page, text: str) -> Locator:
    return page.locator("#result_list tbody tr").filter(has_text=text)


def test_a_sale_is_seen_its_learner_found_and_refunded(office: Office, sandbox: Sandbox) -> None:
    email = new_email()
    buy(office.page, COURSE, email)
    expect_state(office.page, "ready")
    with office.within(clicks=0) as page:  # today's sales
        sold = page.get_by_role("row", name="Sold").get_by_role("cell").first
        expect(sold).to_contain_text(re.compile(r"^\s*\d"))
    with office.within(clicks=2) as page:  # a learner's whole story
        office.find(email)
        expect(page.locator("#timeline")).to_contain_text("Checkout begun")
        page.get_by_text("Text of the e-mail").first.click()
        expect(page.locator("#timeline")).to_contain_text("/enrollments/")
    with office.within(clicks=2) as page:  # an export
        page.get_by_role("link", name="Payments", exact=False).first.click()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download as CSV").click()
        assert email in download.value.path().read_bytes().decode("utf-8-sig")
    with office.within(clicks=3) as page:  # a refund; four are allowed
        office.find(email)
        page.get_by_role("link", name="Refund", exact=True).first.click()
        page.get_by_role("button", name="Refund", exact=True).click()
        expect(page.get_by_text("€560.00 refunded.")).to_be_visible()
    assert sandbox.book("refunds")[-1]["amount"] == 56000


DRAFT = "Data Science with Python"


def test_a_course_is_put_on_sale_and_taken_off(office: Office, inspector: Inspector) -> None:
    with office.within(clicks=2) as page:
        page.get_by_role("link", name="Courses").first.click()
        row_of(page, DRAFT).get_by_role("button", name="Put on sale").click()
        expect(page.get_by_text("1 put on sale, 0 skipped.")).to_be_visible()
    row_of(page, DRAFT).get_by_role("link", name=DRAFT).click()
    page.get_by_role("link", name="Take off sale").click()
    page.get_by_role("button", name="Take off sale").click()
    expect(page.get_by_text("Taken off sale.")).to_be_visible()
    inspector.look(page, "office-course", taps=False)
    page.get_by_role("textbox", name="Outcome 1", exact=True).fill("Typed and not saved")
    page.get_by_role("button", name="Move down: outcome 1").click()
    second = page.get_by_role("textbox", name="Outcome 2", exact=True)
    expect(second).to_have_value("Typed and not saved")
    expect(page.get_by_role("button", name="Move down: outcome 2")).to_be_focused()
    page.get_by_role("button", name="Add outcome").click()
    expect(page.get_by_placeholder("Outcome").last).to_be_focused()
    page.keyboard.press("Enter")  # saves, and presses no button of a row
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    expect(second).to_have_value("Typed and not saved")
    page.get_by_role("link", name="Preview").click()
    expect(page.get_by_text("only staff see this")).to_be_visible()
    inspector.look(page, "course-preview")
    page.get_by_role("link", name="Back to the office").click()
    page.get_by_role("link", name="Upload a cover").click()
    expect(page.get_by_text("Cover now")).to_be_visible()
    inspector.look(page, "office-cover", taps=False)


def test_an_lms_that_is_down_is_seen_and_tried_and_a_dead_letter_is_read_and_replayed(
    office: Office, sandbox: Sandbox, demo: RunningDemo
) -> None:
    email = new_email()
    sandbox.fault("lms", "417", "POST /api/resource/LMS Enrollment")
    status_page = enroll_for_free(demo, email)
    wait_until(lambda: shown_state(status_page) == "attention", seconds=20)
    sandbox.call("DELETE", "/control/faults")
    with office.within(clicks=2) as page:
        office.section("Needs you").get_by_role("link", name="dead letter").click()
        letter = row_of(page, email)
        expect(letter).to_contain_text("The sandbox refuses this on request.")
        assert office.clicks == 1  # read
        letter.get_by_role("button", name="Replay").click()
        expect(page.get_by_text("1 replayed, 0 skipped")).to_be_visible()
    wait_until(lambda: shown_state(status_page) == "ready", seconds=20)
    sandbox.fault("lms", "down")
    late = [enroll_for_free(demo, new_email("late")) for _ in range(2)]
    wait_until(lambda: shown_state(late[0]) == "lms_unavailable", seconds=20)
    with office.within(clicks=2) as page:
        health = office.section("Health")
        expect(health).to_contain_text("Unavailable")
        assert office.clicks == 0  # seen
        sandbox.call("DELETE", "/control/faults")
        health.get_by_role("link", name="Frappe LMS").click()
        row_of(page, "Frappe LMS").get_by_role("button", name="Probe now").click()
        expect(page.get_by_text("The worker probes frappe")).to_be_visible()
    for address in late:
        wait_until(lambda address=address: shown_state(address) == "ready", seconds=20)


def test_undelivered_mails_are_sent_again_or_follow_to_another_address(
    office: Office, sandbox: Sandbox, demo: RunningDemo
) -> None:
    again, wrong = new_email("again"), new_email("wrong")
    for email in (again, wrong):
        sandbox.fault("smtp", "reject", f"RCPT {email}")
        address = enroll_for_free(demo, email)
        wait_until(lambda address=address: shown_state(address) == "ready", seconds=20)
    with office.within(clicks=2) as page:
        office.section("Needs you").get_by_role("link", name="that could not be sent").click()
        wait_until(lambda: page.reload() and row_of(page, wrong).count(), seconds=20)
        sandbox.heal("smtp")
        row_of(page, again).get_by_role("button", name="Replay").click()
        expect(page.get_by_text("1 replayed, 0 skipped")).to_be_visible()
    assert len(wait_until(lambda: sandbox.mails(again), seconds=20)) == 1
    with office.within(clicks=3) as page:
        office.find(wrong)
        page.get_by_role("link", name="Move to another address").click()
        page.get_by_label("New address").fill(f"right.{wrong}")
        page.get_by_label("Reason").fill("A typing error.")
        page.get_by_role("button", name="Move").click()
        expect(page.get_by_text(f"is moved from {wrong}")).to_be_visible()
    assert len(wait_until(lambda: sandbox.mails(f"right.{wrong}"), seconds=20)) == 1
    [told] = sandbox.mails(wrong)
    assert f"right.{wrong}" not in told["text"]


def test_a_changed_price_is_found_by_who_changed_it_with_old_and_new(office: Office) -> None:
    enter_office(office.visitor, "/admin/courses/course/")
    page = office.page
    row_of(page, "Documentary Photography").get_by_role("link").first.click()
    price = page.get_by_label("Price")
    before = price.input_value()
    price.fill("451.50")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    with office.within(clicks=2) as page:
        page.get_by_role("link", name="Change log").click()
        entry = row_of(page, "Documentary Photography").first
        expect(entry).to_contain_text(f"Price: {before} USD → 451.50 USD")
        entry.get_by_role("link").first.click()
        expect(page.get_by_text("staff@maaledu.example").first).to_be_visible()
