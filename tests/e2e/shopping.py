"""What a buyer does, step by step, as they would tell it."""

import re
import uuid

from playwright.sync_api import Locator, Page, expect

PAYS, DECLINED = "4242 4242 4242 4242", "4000 0000 0000 0002"
DEBIT_SUCCEEDS, DEBIT_FAILS = "000123456789", "000111111116"


def new_email(name: str = "ada") -> str:
    return f"{name}.{uuid.uuid4().hex[:8]}@example.com"


def fill_checkout(page: Page, email: str, name: str = "Ada Buyer") -> None:
    page.get_by_label("E-mail address of the learner").fill(email)
    page.get_by_label("Name").fill(name)
    page.get_by_label("I accept the terms").check()


def go_to_payment(page: Page, slug: str, email: str) -> None:
    """Fill the checkout of a course and continue to the payment page."""
    page.goto(f"/checkout/{slug}/")
    fill_checkout(page, email)
    page.get_by_role("button", name="Continue to payment").click()
    expect(page).to_have_url(re.compile("/pay/"))


def pay_by_card(page: Page, number: str = PAYS) -> None:
    page.get_by_label("Card number").fill(number)
    page.locator("#pay").click()


def pay_from_account(page: Page, number: str) -> None:
    page.get_by_label("Account").select_option(number)
    page.locator("#debit").click()


def buy(page: Page, slug: str, email: str) -> str:
    """Buy a course with the card that pays; return the address of its status page, which may not be
    ready yet.
    """
    go_to_payment(page, slug, email)
    pay_by_card(page)
    expect(page).to_have_url(re.compile("/enrollments/"))
    return page.url.partition("?")[0]


def status(page: Page) -> Locator:
    return page.locator("#status")


def expect_state(page: Page, state: str, *, within: float = 10) -> None:
    """Wait until the status page has turned to a state, by itself."""
    expect(status(page)).to_have_attribute("data-state", state, timeout=within * 1000)
