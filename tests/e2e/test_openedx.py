"""A course on Open edX, bought by somebody who has no account there: they are told to make one,
make it, and find the course open.
"""

import re

from playwright.sync_api import Page, expect

from tests.e2e.accounts import sign_up
from tests.e2e.inspection import Inspector
from tests.e2e.running_demo import RunningDemo
from tests.e2e.shopping import buy, expect_state, new_email, status
from tests.e2e.visitor import Visitor
from tests.sandbox_client import Sandbox, wait_until

COURSE, TITLE = "data-protection-officer-certificate", "Data Protection Officer Certificate"
KEY = "course-v1:MaalEdu+DPO201+2026_T2"


def open_mail(page: Page, demo: RunningDemo, subject: str, email: str) -> None:
    """Find a message in the mailbox as a person does."""
    page.goto(f"{demo.sandbox_url}/mail/")
    row = page.get_by_role("row").filter(has_text=email).filter(has_text=subject)
    row.get_by_role("link").click()


def register(page: Page, email: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("Create an account")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Full name").fill("Ada Buyer")
    page.get_by_role("button", name="Create account").click()
    expect(page.locator("#registered")).to_contain_text(email)


def test_who_has_no_account_makes_one_and_gets_in(
    visitor: Visitor, demo: RunningDemo, sandbox: Sandbox, inspector: Inspector
):
    page, email = visitor.page, new_email()
    bought = buy(page, COURSE, email)
    expect_state(page, "awaiting_account")
    expect(status(page)).to_contain_text(f"Create an account there with {email}")

    wait_until(lambda: sandbox.mails(email))
    inspector.look_at_mail(page, sandbox.mails(email)[0]["html"], "mail-account-needed")
    open_mail(page, demo, f"One step is left: create your account for {TITLE}", email)
    page.locator("pre a[href$='/edx/register']").click()
    register(page, email)
    open_mail(page, demo, "Action required: activate your account", email)
    page.locator("pre a[href*='/edx/activate/']").click()
    expect(page.locator("#activated")).to_contain_text(email)

    page.goto(bought)
    expect_state(page, "ready", within=30)  # nobody pressed anything: the account was noticed
    expect(status(page)).to_contain_text("Sign in there with your account")
    page.get_by_role("link", name="Go to your course").click()
    assert page.url.endswith(f"/edx/courses/{KEY}/course/")
    page.get_by_label("Is this learner enrolled?").fill(email)
    page.get_by_role("button", name="Look").click()
    expect(page.locator("#enrolled")).to_contain_text(f"{email} is enrolled in the mode verified.")
    wait_until(lambda: len(sandbox.mails(email)) == 3)
    assert "Your course is ready" in sandbox.mails(email)[0]["subject"]


def test_my_courses_says_what_is_left_to_do_and_a_button_has_it_looked_for(
    visitor: Visitor, sandbox: Sandbox, inspector: Inspector
):
    page, email = visitor.page, new_email()
    bought = buy(page, COURSE, email)
    expect_state(page, "awaiting_account")
    sign_up(page, sandbox, email)
    page.goto("/account/")
    owned = page.get_by_role("listitem").filter(has_text=TITLE)
    expect(owned).to_contain_text("One step is left: your account")
    inspector.look(page, "my-courses-awaiting-account")
    address = owned.get_by_role("link", name="Create your account").get_attribute("href")
    assert re.search(r"/edx/register$", address or "")

    sandbox.edx(accounts=[{"email": email, "username": email.partition("@")[0]}])
    page.goto(bought)
    page.get_by_role("button", name="My account is confirmed").click()
    expect_state(page, "ready", within=30)
