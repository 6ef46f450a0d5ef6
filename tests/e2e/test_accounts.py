"""An account is made, confirmed and recovered with codes from the mailbox, and shows what was
bought before it.
"""

import re

from playwright.sync_api import Page, expect

from tests.e2e.accounts import PASSWORD, code_from, sign_in, sign_up
from tests.e2e.shopping import buy, expect_state, new_email
from tests.e2e.visitor import Visitor
from tests.sandbox_client import Sandbox


def my_courses(page: Page) -> None:
    page.get_by_label("Main").get_by_role("link", name="My courses").click()


def test_a_new_account_shows_what_was_bought_as_a_guest(visitor: Visitor, sandbox: Sandbox):
    page, email = visitor.page, new_email("guest")
    buy(page, "writing-policy-that-works", email)
    expect_state(page, "ready")
    sandbox.lms(progress={"email": email, "course": "writing-policy-that-works", "percent": 40})
    sign_up(page, sandbox, email)
    my_courses(page)
    owned = page.get_by_role("listitem").filter(has_text="Writing Policy That Works")
    expect(owned).to_have_count(1)
    expect(owned).to_contain_text("$240.00")
    expect(owned).to_contain_text("40 %")
    expect(owned.get_by_role("link", name="Go to course")).to_be_visible()


def test_an_unconfirmed_address_shows_nothing_of_its_purchases(visitor: Visitor, sandbox: Sandbox):
    page, email = visitor.page, new_email("stranger")
    buy(page, "writing-policy-that-works", email)
    page.goto("/accounts/signup/")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirm your e-mail address")
    page.goto("/account/")
    expect(page.get_by_text("Writing Policy That Works")).to_have_count(0)


def test_a_forgotten_password_is_replaced_by_code(visitor: Visitor, sandbox: Sandbox):
    page, email, new_password = visitor.page, new_email("forgetful"), "quite-another-sentence-5"
    sign_up(page, sandbox, email)
    page.get_by_role("link", name="Sign out").click()
    page.get_by_role("button", name="Sign out").click()
    page.goto("/account/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.goto("/accounts/password/reset/")
    page.get_by_label("E-mail").fill(email)
    page.get_by_role("button", name="Send the code").click()
    page.get_by_label("Code").fill(code_from(sandbox, email, "password"))
    page.get_by_role("button", name="Confirm", exact=True).click()
    for field in page.get_by_label(re.compile("^New password")).all():
        field.fill(new_password)
    page.get_by_role("button", name="Save the new password").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your password is changed")
    sign_in(page, email, new_password)
    expect(page).to_have_url(re.compile("/account/$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("My courses")


def test_a_wrong_password_is_told_without_telling_who_has_an_account(
    visitor: Visitor, sandbox: Sandbox
):
    page, known, unknown = visitor.page, new_email("known"), new_email("unknown")
    sign_up(page, sandbox, known)
    visitor.context.clear_cookies()
    told = []
    for email in (known, unknown):
        sign_in(page, email, "not-the-password-at-all")
        told.append(page.get_by_role("alert").inner_text())
    assert told[0] == told[1]
