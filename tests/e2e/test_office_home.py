"""The office's first page and lists in a browser: looked over, reloaded, filtered, downloaded."""

import re

from playwright.sync_api import expect

from tests.e2e.inspection import Inspector
from tests.e2e.shopping import buy, expect_state, new_email
from tests.e2e.test_office import enter_office
from tests.e2e.visitor import PHONE, Visitor
from tests.sandbox_client import Sandbox

MINUTE_MS = 61_000


def test_the_first_page_is_looked_over_and_reads_itself_anew_each_minute(
    visitor: Visitor, inspector: Inspector
):
    page = visitor.page
    page.clock.install()
    enter_office(visitor, "/admin/")
    for title in ("Health", "Needs you", "Figures", "By kind", "By course"):
        expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
    page.locator("summary").first.click()
    inspector.look(page, "office-home", taps=False)
    page.goto("/admin/")
    with page.expect_response(lambda answer: answer.request.headers.get("hx-request") == "true"):
        page.clock.fast_forward(MINUTE_MS)
    expect(page.locator("#home")).to_have_count(1)
    expect(page.get_by_role("heading", name="Health", exact=True)).to_be_visible()


def test_a_list_is_filtered_by_days_summed_up_and_downloaded(
    visitor: Visitor, sandbox: Sandbox, inspector: Inspector
):
    page, email = visitor.page, new_email()
    buy(page, "infection-prevention-and-control", email)
    expect_state(page, "ready")
    enter_office(visitor, "/admin/payments/payment/")
    page.locator("a").filter(has_text="Filters").first.click()
    first_day = page.get_by_label("From (day in UTC)")
    first_day.fill("2026-01-01")
    inspector.look(page, "office-filters", taps=False)
    first_day.press("Enter")
    expect(page).to_have_url(re.compile("created_at_from=2026-01-01"))
    expect(page.locator("#list-sums")).to_contain_text("rows: ")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    text = download.value.path().read_bytes().decode("utf-8-sig")
    assert email in text


def test_menus_filters_and_a_refused_form_work_by_keyboard(visitor: Visitor):
    page = visitor.page
    enter_office(visitor, "/admin/lms_sync/deadletter/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("#main :focus")).to_have_count(1)
    for name, key, opened in (
        ("Filters", "Enter", page.locator("#changelist-filter")),
        ("Your account", " ", page.get_by_role("button", name="Log out")),
    ):
        button = page.get_by_role("button", name=name, exact=True)
        button.press(key)
        expect(opened).to_be_visible()
        expect(button).not_to_be_focused()
        page.keyboard.press("Escape")
        expect(opened).to_be_hidden()
        expect(button).to_be_focused()
    page.goto("/admin/enrollments/enrollment/comp/")
    page.get_by_role("button", name="Enroll for free").press("Enter")
    expect(page.get_by_label("E-mail address of the learner")).to_be_focused()
    page.set_viewport_size(PHONE)
    page.get_by_role("button", name="Menu", exact=True).last.press("Enter")
    expect(page.get_by_role("link", name="Dead letters")).to_be_visible()
