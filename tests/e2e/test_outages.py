"""What a buyer sees while Stripe or the LMS is down, and that it turns out well without them."""

import re
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import expect

from tests.e2e.inspection import Inspector, sticking_out
from tests.e2e.running_demo import RunningDemo
from tests.e2e.shopping import buy, expect_state, fill_checkout, new_email, pay_by_card, status
from tests.e2e.visitor import NARROWEST, Visitor
from tests.sandbox_client import Sandbox, wait_until

FREE_COURSE = "information-security-for-everyone"


def enroll_for_free(demo: RunningDemo, email: str) -> str:
    """Enroll another learner without a browser, and return the address of their status page."""
    form_url = f"{demo.url}/checkout/{FREE_COURSE}/"
    with requests.Session() as session:
        token = re.search(
            r'name="csrfmiddlewaretoken" value="([^"]+)"', session.get(form_url, timeout=10).text
        )[1]
        form = {"csrfmiddlewaretoken": token, "email": email, "accept_terms": "on"}
        return session.post(form_url, form, headers={"Referer": form_url}, timeout=10).url


def shown_state(address: str) -> str:
    return re.search(r'data-state="(\w+)"', requests.get(address, timeout=10).text)[1]


@pytest.fixture
def lms_down(demo: RunningDemo, sandbox: Sandbox) -> Iterator[Sandbox]:
    """The LMS has been down long enough for the shop to have noticed, and comes back when the test
    is over.
    """
    sandbox.fault("lms", "down")
    others = [enroll_for_free(demo, new_email("early")) for _ in range(2)]
    wait_until(lambda: shown_state(others[0]) == "lms_unavailable", seconds=15)
    yield sandbox
    sandbox.call("DELETE", "/control/faults")
    for address in others:
        wait_until(lambda address=address: shown_state(address) == "ready", seconds=20)


def test_an_outage_of_the_lms_is_told_and_ends_by_itself(
    visitor: Visitor, lms_down: Sandbox, inspector: Inspector
):
    page, email = visitor.page, new_email()
    buy(page, "writing-policy-that-works", email)
    expect_state(page, "lms_unavailable")
    expect(status(page).get_by_role("heading", level=1)).to_have_text("Payment received")
    expect(status(page)).to_contain_text("The learning platform has been unavailable since")
    expect(status(page)).to_contain_text(re.compile(r"Next try: \d\d:\d\d"))
    expect(status(page)).to_contain_text("support@")
    assert lms_down.mails(email) == []
    inspector.look(page, "status-lms_unavailable")
    page.set_viewport_size(NARROWEST)
    assert sticking_out(page) == []
    page.evaluate("window.stillTheSamePage = true")
    lms_down.call("DELETE", "/control/faults")
    expect_state(page, "ready", within=20)
    assert page.evaluate("window.stillTheSamePage"), (
        "the page was loaded again instead of updating itself"
    )
    assert len(lms_down.enrollments(email)) == 1
    assert len(wait_until(lambda: lms_down.mails(email))) == 1


def test_stripe_being_down_at_checkout_can_be_waited_out(
    visitor: Visitor, sandbox: Sandbox, inspector: Inspector
):
    page, email = visitor.page, new_email()
    visitor.expect_statuses(503)
    page.goto("/checkout/reading-financial-statements/")
    fill_checkout(page, email)
    sandbox.fault("stripe", "503")
    with page.expect_response("**/checkout/reading-financial-statements/") as answer:
        page.get_by_role("button", name="Continue to payment").click()
    assert answer.value.status == 503
    expect(page.get_by_role("alert")).to_contain_text("Nothing was charged")
    expect(page.get_by_label("E-mail address of the learner")).to_have_value(email)
    inspector.look(page, "checkout-503")
    sandbox.call("DELETE", "/control/faults")
    page.get_by_role("button", name="Try again").click()
    pay_by_card(page)
    expect_state(page, "ready")
    assert len(sandbox.enrollments(email)) == 1
