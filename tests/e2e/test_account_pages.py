"""The pages of an account looked over, from signing up to signing out: it is made, confirmed and
recovered with codes from the mailbox, and shows what was bought before it.
"""

import re

from playwright.sync_api import expect

from tests.e2e.accounts import PASSWORD, code_from, sign_in, sign_up
from tests.e2e.inspection import Inspector
from tests.e2e.shopping import buy, expect_state, new_email
from tests.e2e.visitor import PROGRESS_MS, Visitor
from tests.sandbox_client import Sandbox


def test_signing_up(visitor: Visitor, sandbox: Sandbox, inspector: Inspector):
    page, email = visitor.page, new_email()
    page.goto("/accounts/signup/")
    page.get_by_label("E-mail").fill("not an address")
    page.get_by_label("Password").fill("short")
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("alert").get_by_role("listitem")).to_have_count(2)
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirm your e-mail address")
    inspector.look(page, "confirm-email")
    page.get_by_label("Code").fill(code_from(sandbox, email, "code"))
    page.get_by_role("button", name="Confirm", exact=True).click()
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()


def test_an_account_with_courses(visitor: Visitor, sandbox: Sandbox):
    page, email = visitor.page, new_email()
    # Said before the worker asks, right after access: what it was told is kept for two minutes.
    sandbox.lms(progress={"email": email, "course": "teaching-adults-online", "percent": 65})
    buy(page, "teaching-adults-online", email)
    expect_state(page, "ready")
    sandbox.fault("lms", "417", "POST /api/resource/LMS Enrollment")
    buy(page, "brand-identity-design", email)
    expect_state(page, "attention")
    sign_up(page, sandbox, email)
    page.goto("/")
    page.get_by_label("Main").get_by_role("link", name="My courses").click()
    owned = page.get_by_role("listitem").filter(has_text="Teaching Adults Online")
    expect(owned).to_have_count(1)
    expect(owned).to_contain_text("$275.00")
    expect(owned).to_contain_text("65 %", timeout=PROGRESS_MS)
    expect(owned.get_by_role("link", name="Go to course")).to_be_visible()
    page.goto("/accounts/email/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.goto("/accounts/password/change/")
    page.goto("/accounts/logout/")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/$"))
    sign_in(page, email, "not-the-password-at-all")
    expect(page.get_by_role("alert")).to_be_visible()


def test_a_new_password(visitor: Visitor, sandbox: Sandbox, inspector: Inspector):
    page, email, new_password = visitor.page, new_email(), "quite-another-sentence-5"
    sign_up(page, sandbox, email)
    page.get_by_role("link", name="Sign out").click()
    page.get_by_role("button", name="Sign out").click()
    page.goto("/account/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.goto("/accounts/password/reset/")
    page.get_by_label("E-mail").fill(email)
    page.get_by_role("button", name="Send the code").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Enter the code")
    inspector.look(page, "password-reset-code")
    page.get_by_label("Code").fill(code_from(sandbox, email, "password"))
    page.get_by_role("button", name="Confirm", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Choose a new password")
    inspector.look(page, "password-reset-new")
    mail = sandbox.mails(email)[0]
    for field in page.get_by_label(re.compile("^New password")).all():
        field.fill(new_password)
    page.get_by_role("button", name="Save the new password").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your password is changed")
    sign_in(page, email, new_password)
    expect(page).to_have_url(re.compile("/account/$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("My courses")
    inspector.look_at_mail(page, mail["html"], "mail-code")
    expect(page.get_by_text("MaalEdu", exact=True)).to_be_visible()
