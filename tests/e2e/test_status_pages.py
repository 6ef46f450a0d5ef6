"""The status page says in which state a learner finds it."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.shopping import (
    DEBIT_FAILS,
    buy,
    expect_state,
    go_to_payment,
    new_email,
    pay_from_account,
)
from tests.e2e.visitor import Visitor
from tests.sandbox_client import Sandbox, wait_until

COURSE = "instructional-video-on-a-small-budget"
COURSE_ON_OPENEDX = "medication-safety-in-residential-care"
ENROLL = "POST /api/resource/LMS Enrollment"


def status_address(sandbox: Sandbox, email: str) -> str:
    """Return where the payment service would send this buyer back to."""
    session = next(session for session in sandbox.sessions() if session["customer_email"] == email)
    return session["success_url"].partition("?")[0]


def come_back_unpaid(page: Page, sandbox: Sandbox, email: str) -> None:
    go_to_payment(page, COURSE, email)
    page.goto(status_address(sandbox, email))


def come_back_expired(page: Page, sandbox: Sandbox, email: str) -> None:
    go_to_payment(page, COURSE, email)
    session = next(session for session in sandbox.sessions() if session["customer_email"] == email)
    sandbox.expire(session["id"])
    page.goto(status_address(sandbox, email))


def leave(page: Page, sandbox: Sandbox, email: str) -> None:
    go_to_payment(page, COURSE, email)
    sandbox.webhooks(hold=True)  # else Stripe's own word, "expired", may be written before ours
    page.get_by_role("link", name="Close without paying").click()
    page.get_by_role("button", name="Cancel the checkout").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Checkout cancelled")
    sandbox.webhooks(hold=False)
    page.goto(status_address(sandbox, email))


def pay_slowly(page: Page, sandbox: Sandbox, email: str) -> None:
    sandbox.stripe(async_delay=50)
    go_to_payment(page, COURSE, email)
    pay_from_account(page, DEBIT_FAILS)


def fail_slowly(page: Page, sandbox: Sandbox, email: str) -> None:
    sandbox.stripe(async_delay=0)
    go_to_payment(page, COURSE, email)
    pay_from_account(page, DEBIT_FAILS)
    wait_until(
        lambda: (
            not any(
                session["status"] == "open"
                for session in sandbox.sessions()
                if session["customer_email"] == email
            )
        )
    )
    page.goto(status_address(sandbox, email))


def pay_at_a_slow_lms(page: Page, sandbox: Sandbox, email: str) -> None:
    sandbox.fault("lms", "slow", ENROLL, seconds=8, times=1)
    buy(page, COURSE, email)


def pay_at_a_busy_lms(page: Page, sandbox: Sandbox, email: str) -> None:
    sandbox.fault("lms", "deadlock", ENROLL)
    buy(page, COURSE, email)


def pay_at_a_refusing_lms(page: Page, sandbox: Sandbox, email: str) -> None:
    sandbox.fault("lms", "417", ENROLL)
    buy(page, COURSE, email)


def pay(page: Page, sandbox: Sandbox, email: str) -> None:
    buy(page, COURSE, email)


def pay_without_an_account(page: Page, sandbox: Sandbox, email: str) -> None:
    buy(page, COURSE_ON_OPENEDX, email)


STATES: dict[str, tuple[Callable[[Page, Sandbox, str], None], str]] = {
    "awaiting_payment": (come_back_unpaid, "Waiting for your payment"),
    "processing": (pay_slowly, "Your payment is on its way"),
    "failed": (fail_slowly, "Your payment did not go through"),
    "expired": (come_back_expired, "The checkout has expired"),
    "cancelled": (leave, "You left the checkout"),
    "paid_setting_up": (pay_at_a_slow_lms, "Payment received"),
    "retrying": (pay_at_a_busy_lms, "Payment received"),
    "awaiting_account": (pay_without_an_account, "One step is left: your account"),
    "attention": (pay_at_a_refusing_lms, "We are looking into your enrollment"),
    "ready": (pay, "Your course is ready"),
}


@pytest.mark.parametrize("state", STATES)
def test_a_state_is_told(state: str, visitor: Visitor, sandbox: Sandbox):
    get_there, headline = STATES[state]
    get_there(visitor.page, sandbox, new_email())
    # After the failures of the states before, an LMS is called at an eighth of its rate at first.
    expect_state(visitor.page, state, within=40)
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(headline)
