"""Staff find an enrollment and bring a dead letter back to life."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.accounts import SECOND_STAFF, STAFF, Person, fill_sign_in
from tests.e2e.inspection import Inspector, sticking_out
from tests.e2e.shopping import buy, expect_state, new_email, status
from tests.e2e.visitor import DESKTOP, PHONE, Visitor
from tests.sandbox_client import Sandbox, wait_until

# The office's framework gives the bar of actions a width by a style attribute, which our policy
# refuses; it looks the same.
REFUSED_STYLE = "Applying inline style violates the following Content Security Policy directive"


def enter_office(visitor: Visitor, path: str, who: Person = STAFF) -> None:
    """Open a page of the office as staff."""
    be_staff(visitor, who)
    visitor.tolerated.append(REFUSED_STYLE)
    visitor.page.goto(path)
    expect_office(visitor.page, path, who)


def be_staff(visitor: Visitor, who: Person = STAFF) -> None:
    """Be one of staff, who sign in once in a run: ten times are allowed."""
    if who in visitor.sessions:
        visitor.session = visitor.sessions[who]
    else:
        sign_in_to_office(visitor, "/admin/", who)
        visitor.sessions[who] = visitor.session


def sign_in_to_office(visitor: Visitor, path: str, who: Person) -> None:
    """Ask for a page of the office as nobody in particular, and sign in where it sends one to."""
    visitor.tolerated.append(REFUSED_STYLE)
    visitor.session = None
    visitor.page.goto(path)
    expect_sign_in(visitor.page)
    fill_sign_in(visitor.page, who.email, who.password)
    expect_office(visitor.page, path, who)


def expect_sign_in(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def expect_office(page: Page, path: str, who: Person) -> None:
    """Wait for this page itself, not for the sign-in form whose address names it as the next."""
    expect(page).to_have_url(re.compile(rf"^[^?]+{re.escape(urlsplit(path).path)}(\?|$)"))
    expect(page.get_by_text(who.email, exact=True).first).to_be_attached()


def search(page: Page, text: str) -> None:
    page.get_by_placeholder("Type to search").first.fill(text)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("q="))


def test_staff_find_an_enrollment_by_its_email(visitor: Visitor, sandbox: Sandbox):
    page, email = visitor.page, new_email()
    buy(page, "infection-prevention-and-control", email)
    expect_state(page, "ready")
    enter_office(visitor, "/admin/enrollments/enrollment/")
    search(page, email)
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    page.locator("#result_list").get_by_role("link", name=email).click()
    expect(page.get_by_text("£135.00").first).to_be_visible()
    expect(page.locator("input[type=submit], button[name=_save]")).to_have_count(0)


CUT_OFF = """() => [...document.querySelectorAll('#result_list :is(td, th)')]
  .filter(cell => cell.scrollHeight > cell.clientHeight + 1).map(cell => cell.innerText)"""


def test_staff_replay_a_dead_letter_and_the_learner_gets_in(visitor: Visitor, sandbox: Sandbox):
    page, email = visitor.page, new_email()
    sandbox.fault("lms", "417", "POST /api/resource/LMS Enrollment")
    status_page = buy(page, "public-procurement-in-practice", email)
    expect_state(page, "attention")
    expect(status(page)).to_contain_text("Our team knows about it")
    # About her, unless another one died of the same within the hour and waits still.
    assert wait_until(lambda: alerts_about(sandbox, "sync permanently failed"))
    assert len(alerts_about(sandbox, email)) <= 1
    assert sandbox.mails(email) == []
    enter_office(visitor, "/admin/lms_sync/deadletter/")
    search(page, email)
    row = page.locator("#result_list tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("The sandbox refuses this on request.")
    page.set_viewport_size(PHONE)
    page.reload()
    assert page.evaluate(CUT_OFF) == []
    page.set_viewport_size(DESKTOP)
    sandbox.call("DELETE", "/control/faults")
    row.get_by_role("link").first.click()
    expect(page.get_by_role("link", name="Settle")).to_be_visible()
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("1 replayed, 0 skipped.")).to_be_visible()
    assert len(wait_until(lambda: sandbox.mails(email))) == 1
    assert len(sandbox.enrollments(email)) == 1
    page.goto(status_page)
    expect_state(page, "ready")


def test_from_an_address_to_a_learners_whole_story_in_two_clicks(
    visitor: Visitor, sandbox: Sandbox, inspector: Inspector
):
    page, email = visitor.page, new_email()
    buy(page, "public-procurement-in-practice", email)
    wait_until(lambda: sandbox.mails(email))
    enter_office(visitor, "/admin/")
    page.get_by_role("searchbox", name="E-mail address, name, id or code").fill(email)
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("heading", name=email)).to_be_visible()
    expect(page.locator("#timeline")).to_contain_text("Checkout begun")
    page.get_by_text("Text of the e-mail").first.click()
    inspector.look(page, "office-learner", taps=False)
    page.set_viewport_size(PHONE)
    inspector.look(page, "office-learner-phone", taps=False)
    page.set_viewport_size(DESKTOP)
    page.goto("/admin/")
    page.keyboard.press("Control+k")
    page.locator("#search-input-command").press_sequentially(email)
    page.locator("#command-results-list a", has_text=email).first.click()
    expect(page.get_by_role("heading", name=email)).to_be_visible()
    page.get_by_role("link", name="Move to another address").click()
    expect(page.get_by_label("New address")).to_be_visible()
    inspector.look(page, "office-move", taps=False)
    page.get_by_label("New address").fill(f"new.{email}")
    page.get_by_label("Reason").fill("A typing error.")
    page.get_by_role("button", name="Move").click()
    expect(page.get_by_text(f"is moved from {email}")).to_be_visible()
    assert len(wait_until(lambda: sandbox.mails(f"new.{email}"))) == 1
    page.goto("/admin/learners/?q=Ada")
    inspector.look(page, "office-learners", taps=False)


def alerts_about(sandbox: Sandbox, words: str) -> list[dict]:
    mails = sandbox.mails(STAFF.email)
    return [mail for mail in mails if words in mail["subject"] + mail["text"]]


def test_an_event_of_stripes_fits_a_phone(visit: Callable[..., Visitor]):
    visitor = visit(viewport=PHONE)
    page = visitor.page
    enter_office(visitor, "/admin/payments/stripeevent/")
    page.locator("#result_list tbody a").first.click()
    expect(page.locator(".readonly pre").first).to_be_visible()
    assert sticking_out(page) == []


def test_the_page_of_a_person_fits_its_window(visitor: Visitor):
    page = visitor.page
    enter_office(visitor, "/admin/accounts/user/")
    page.locator("#result_list tbody").get_by_role("link", name=SECOND_STAFF.email).click()
    expect(page.get_by_text("Available user permissions")).to_be_visible()
    page.set_viewport_size({"width": 320, "height": 640})
    assert sticking_out(page) == []


@pytest.mark.parametrize("who", [STAFF, SECOND_STAFF], ids=lambda who: who.name)
def test_staff_sign_in_through_the_form_and_get_the_page_they_asked_for(
    visitor: Visitor, who: Person
):
    sign_in_to_office(visitor, "/admin/enrollments/enrollment/", who)


def test_learners_do_not_get_into_the_office(visitor: Visitor):
    visitor.page.goto("/admin/")
    expect_sign_in(visitor.page)
