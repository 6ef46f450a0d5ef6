"""From the catalogue to the course: the payment goes well, is declined, takes its time, or does not
happen.
"""

import re

from playwright.sync_api import Page, expect

from tests.e2e.inspection import Inspector
from tests.e2e.running_demo import RunningDemo
from tests.e2e.shopping import (
    DEBIT_FAILS,
    DEBIT_SUCCEEDS,
    DECLINED,
    buy,
    expect_state,
    fill_checkout,
    go_to_payment,
    new_email,
    pay_by_card,
    pay_from_account,
    status,
)
from tests.e2e.visitor import Visitor
from tests.sandbox_client import Sandbox, wait_until

ENROLL = "POST /api/resource/LMS Enrollment"


def slow_lms(sandbox: Sandbox, seconds: float = 2) -> None:
    sandbox.fault("lms", "slow", ENROLL, seconds=seconds, times=1)


def expect_one_mail(page: Page, demo: RunningDemo, sandbox: Sandbox, email: str) -> None:
    """Look into the mailbox as a person does: one mail to this address, and its link leads into the
    course.
    """
    wait_until(lambda: sandbox.mails(email))
    page.goto(f"{demo.sandbox_url}/mail/")
    rows = page.get_by_role("row").filter(has_text=email)
    expect(rows).to_have_count(1)
    rows.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Your course is ready: ")
    page.locator("pre a[href*='/lms/courses/']").first.click()
    expect(page.get_by_label("Is this learner enrolled?")).to_be_visible()


def find_by_browsing(page: Page) -> None:
    """Go from the front page over its second page, a subject and a search to the page of one
    course.
    """
    page.goto("/")
    expect(page.get_by_role("heading", name="22 courses")).to_be_visible()
    page.get_by_role("link", name="More courses").click()
    expect(page.get_by_role("article")).to_have_count(2)
    page.get_by_role("link", name="Back to the first page").click()
    expect(page.get_by_role("article")).to_have_count(20)
    page.get_by_role("link", name=re.compile("^Business")).click()
    page.get_by_label("Search courses").fill("finance")
    page.get_by_label("Level").select_option("Intermediate")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(
        re.compile(r"\d courses? in Business.* for “finance”")
    )
    page.get_by_role("link", name="Project Finance Essentials").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Project Finance Essentials")


def test_a_course_is_found_bought_and_entered(
    visitor: Visitor, demo: RunningDemo, sandbox: Sandbox, inspector: Inspector
):
    page, email = visitor.page, new_email()
    find_by_browsing(page)
    expect(page.get_by_label("Price and facts")).to_contain_text("$199.99")
    page.get_by_role("link", name="Enroll in this course").click()
    expect(page.get_by_label("Your order")).to_contain_text("$199.99")
    fill_checkout(page, email)
    page.get_by_role("button", name="Continue to payment, $199.99").click()
    expect(page.get_by_label("Order summary")).to_contain_text("199.99 USD")
    slow_lms(sandbox)
    pay_by_card(page)

    expect(status(page).get_by_role("heading", level=1)).to_have_text("Payment received")
    page.evaluate("window.stillTheSamePage = true")
    expect_state(page, "ready")
    expect(page).to_have_title(re.compile("^Your course is ready"))
    assert page.evaluate("window.stillTheSamePage"), (
        "the page was loaded again instead of updating itself"
    )

    page.get_by_role("link", name="Go to your course").click()
    page.get_by_label("Is this learner enrolled?").fill(email)
    page.get_by_role("button", name="Look").click()
    expect(page.locator("#enrolled")).to_contain_text(f"{email} is enrolled.")
    assert len(sandbox.enrollments(email)) == 1
    expect_one_mail(page, demo, sandbox, email)
    inspector.look_at_mail(page, sandbox.mails(email)[0]["html"], "mail-confirmation")


def test_a_declined_card_costs_nothing_and_another_one_pays(
    visitor: Visitor, demo: RunningDemo, sandbox: Sandbox
):
    page, email = visitor.page, new_email()
    go_to_payment(page, "ux-writing", email)
    pay_by_card(page, DECLINED)
    expect(page.get_by_role("alert")).to_contain_text("declined")
    assert sandbox.enrollments(email) == []
    pay_by_card(page)
    expect_state(page, "ready")
    assert len(sandbox.enrollments(email)) == 1
    expect_one_mail(page, demo, sandbox, email)


def debit(visitor: Visitor, sandbox: Sandbox, account: str) -> str:
    """Pay from a bank account whose bank takes its time; return the buyer's e-mail once the page
    says so.
    """
    page, email = visitor.page, new_email()
    sandbox.stripe(async_delay=15)
    page.clock.install()
    go_to_payment(page, "first-aid-for-workplaces", email)
    pay_from_account(page, account)
    expect_state(page, "processing")
    expect(status(page).get_by_role("heading", level=1)).to_have_text("Your payment is on its way")
    assert sandbox.enrollments(email) == []
    return email


def wait_for_slow_poll(page: Page, state: str) -> None:
    """Let the browser's clock run ahead until the page, which asks four times a minute, has turned
    to a state.
    """

    def turned() -> bool:
        page.clock.fast_forward(15_000)
        return status(page).get_attribute("data-state") == state

    wait_until(turned, every=0.3)


def test_a_delayed_payment_gives_access_when_the_bank_has_paid(visitor: Visitor, sandbox: Sandbox):
    email = debit(visitor, sandbox, DEBIT_SUCCEEDS)
    sandbox.advance(15)
    wait_for_slow_poll(visitor.page, "ready")
    assert len(sandbox.enrollments(email)) == 1
    wait_until(lambda: len(sandbox.mails(email)) == 2)
    subjects = {mail["subject"].partition(":")[0] for mail in sandbox.mails(email)}
    assert subjects == {"Your payment is on its way", "Your course is ready"}


def test_a_delayed_payment_that_fails_says_so_and_can_be_tried_again(
    visitor: Visitor, sandbox: Sandbox
):
    page = visitor.page
    email = debit(visitor, sandbox, DEBIT_FAILS)
    sandbox.advance(15)
    wait_for_slow_poll(page, "failed")
    expect(status(page)).to_contain_text("Your payment did not go through")
    assert sandbox.enrollments(email) == []
    page.get_by_role("link", name="Try again").click()
    fill_checkout(page, email)
    page.get_by_role("button", name="Continue to payment").click()
    pay_by_card(page)
    expect_state(page, "ready")
    assert len(sandbox.enrollments(email)) == 1


def test_leaving_the_payment_page_charges_nothing_and_coming_back_works(
    visitor: Visitor, sandbox: Sandbox, inspector: Inspector
):
    page, email = visitor.page, new_email()
    go_to_payment(page, "brand-identity-design", email)
    first_payment_page = page.url
    inspector.look(page, "payment")
    page.get_by_role("link", name="Close without paying").click()
    page.get_by_role("button", name="Cancel the checkout").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Checkout cancelled")
    page.get_by_role("link", name="Start again").click()
    fill_checkout(page, email)
    page.get_by_role("button", name="Continue to payment").click()
    expect(page).to_have_url(re.compile("/pay/"))
    assert page.url != first_payment_page
    pay_by_card(page)
    expect_state(page, "ready")
    page.goto(first_payment_page)
    expect(page.get_by_role("heading", level=1)).to_have_text("This payment link has expired")
    assert len(sandbox.enrollments(email)) == 1


def test_a_free_course_needs_no_card(visitor: Visitor, demo: RunningDemo, sandbox: Sandbox):
    page, email = visitor.page, new_email()
    page.goto("/courses/information-security-for-everyone/")
    page.get_by_label("Price and facts").get_by_role("link", name="Enroll for free").click()
    fill_checkout(page, email)
    slow_lms(sandbox)
    page.get_by_role("button", name="Enroll for free").click()
    expect(status(page).get_by_role("heading", level=1)).to_have_text("Enrollment received")
    expect_state(page, "ready")
    assert len(sandbox.enrollments(email)) == 1
    expect_one_mail(page, demo, sandbox, email)


def test_two_tabs_lead_to_one_payment(visitor: Visitor, sandbox: Sandbox):
    email, tabs = new_email(), [visitor.page, visitor.context.new_page()]
    for tab in tabs:
        go_to_payment(tab, "sql-for-everyday-questions", email)
    assert tabs[0].url == tabs[1].url
    tabs[0].bring_to_front()
    pay_by_card(tabs[0])
    expect_state(tabs[0], "ready")
    tabs[1].bring_to_front()
    pay_by_card(tabs[1])
    expect(tabs[1].get_by_role("heading", level=1)).to_have_text("Already paid")
    tabs[1].get_by_role("link", name="Back to the shop").click()
    expect_state(tabs[1], "ready")
    assert tabs[0].url == tabs[1].url
    assert [
        session["payment_status"]
        for session in sandbox.sessions()
        if session["customer_email"] == email
    ] == ["paid"]


def test_a_second_purchase_of_the_same_course_is_refused_before_payment(
    visitor: Visitor, sandbox: Sandbox
):
    page, email = visitor.page, new_email()
    visitor.expect_statuses(409)
    buy(page, "designing-assessments", email)
    page.goto("/checkout/designing-assessments/")
    fill_checkout(page, email.upper())
    page.get_by_role("button", name="Continue to payment").click()
    expect(page.get_by_role("alert")).to_contain_text("is already enrolled in this course")
    assert (
        len([session for session in sandbox.sessions() if session["customer_email"] == email]) == 1
    )
