"""The other journeys by keyboard alone: applying for a grant, redeeming it, signing in and going to
the course, joining the affiliates and copying a link.
"""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.e2e.accounts import code_from, sign_up
from tests.e2e.granting import (
    APPLICATION,
    MOTIVATION,
    SITUATION,
    be_staff,
    link_in,
    mail_about,
    send,
)
from tests.e2e.partnering import IBAN, JOIN, NAME, PAYEE, expect_dashboard
from tests.e2e.shopping import expect_state, new_email
from tests.e2e.test_ways_to_buy import tab_to
from tests.e2e.visitor import Visitor
from tests.sandbox_client import Sandbox

COURSE = "ux-writing"


def type_into(page: Page, label: str, words: str) -> None:
    tab_to(page, page.get_by_label(label, exact=True))
    page.keyboard.type(words)


def press(page: Page, role: str, name: str) -> None:
    """Go to a link or a button with the Tab key, and press it."""
    tab_to(page, page.get_by_role(role, name=name).first)
    page.keyboard.press("Enter")


def approve(staff: Visitor, email: str) -> None:
    be_staff(staff)
    found = staff.page.request.get(f"/admin/grants/grant/?q={email}").text()
    send(staff.page, f"{APPLICATION.search(found)[0]}approve/", percent="100", decide="1")


def test_a_grant_is_applied_for_and_redeemed_and_the_course_entered(
    visit: Callable[..., Visitor], sandbox: Sandbox
) -> None:
    page, email = visit().page, new_email()
    page.goto(f"/courses/{COURSE}/")
    press(page, "link", "Apply for a grant")
    type_into(page, "Name", "Ada Applicant")
    type_into(page, "E-mail address", email)
    type_into(page, "Your situation", SITUATION)
    type_into(page, "What the course is for", MOTIVATION)
    tab_to(page, page.get_by_label("may use what I wrote"))
    page.keyboard.press("Space")
    press(page, "button", "Send the application")
    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you for your application")
    approve(visit(), email)
    page.goto(link_in(mail_about(sandbox, email, "approved"), "/grants/"))
    press(page, "link", "Use it and enroll")
    tab_to(page, page.get_by_label("I accept the terms"))
    page.keyboard.press("Space")
    press(page, "button", "Enroll for free")
    expect_state(page, "ready")
    press(page, "button", "Get an account by code")
    type_into(page, "Code", code_from(sandbox, email, "code"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("My courses")
    press(page, "link", "Go to course")
    expect(page).to_have_url(re.compile("/lms/"))
    assert len(sandbox.enrollments(email)) == 1


def test_an_affiliate_joins_and_copies_a_link(visitor: Visitor, sandbox: Sandbox) -> None:
    page = visitor.page
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    sign_up(page, sandbox, new_email("grace"))
    page.goto("/affiliates/")
    press(page, "link", "Join")
    type_into(page, "Name that buyers see", NAME)
    tab_to(page, page.get_by_label("Country where you pay tax"))
    page.keyboard.type("Norway")
    tab_to(page, page.get_by_role("radio").first)
    for key in ("Space", "ArrowDown"):
        page.keyboard.press(key)
    expect(page.get_by_label("Bank transfer")).to_be_checked()
    type_into(page, "Account holder", PAYEE)
    type_into(page, "IBAN", IBAN)
    tab_to(page, page.get_by_label("I accept the terms"))
    page.keyboard.press("Space")
    press(page, "button", JOIN)
    expect_dashboard(page)
    press(page, "button", "Copy")
    expect(page.get_by_role("status").filter(has_text="Copied")).to_have_count(1)
    assert "/r/" in page.evaluate("navigator.clipboard.readText()")
