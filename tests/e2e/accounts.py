"""Signing up and in, with the codes that arrive in the sandbox's mailbox."""

import re
from typing import NamedTuple

from playwright.sync_api import Page, expect

from tests.sandbox_client import Sandbox, wait_until


class Person(NamedTuple):
    """Somebody with an account of the demo's own."""

    email: str
    password: str
    name: str


PASSWORD = "a-sentence-nobody-guesses-7"
STAFF = Person("staff@maaledu.example", "sandbox-staff-only", "Sandbox Staff")
SECOND_STAFF = Person("finance@maaledu.example", "sandbox-finance-only", "Sandbox Finance")
CODE = re.compile(r"^ {4}([A-Z0-9-]+)\s*$", re.MULTILINE)


def code_from(sandbox: Sandbox, email: str, about: str) -> str:
    """Wait for the mail whose subject is about something, and return the code in it."""
    found = wait_until(
        lambda: [mail for mail in sandbox.mails(email) if about in mail["subject"].lower()]
    )
    return CODE.search(found[0]["text"])[1]


def sign_up(page: Page, sandbox: Sandbox, email: str, password: str = PASSWORD) -> None:
    page.goto("/accounts/signup/")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Create account").click()
    page.get_by_label("Code").fill(code_from(sandbox, email, "code"))
    page.get_by_role("button", name="Confirm", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("My courses")


def sign_in(page: Page, email: str, password: str) -> None:
    page.goto("/accounts/login/")
    fill_sign_in(page, email, password)


def fill_sign_in(page: Page, email: str, password: str) -> None:
    """Sign in with the form that is shown, wherever it leads to."""
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
