"""From joining the program to the money on the account, as affiliates, the learners they send, and
staff go through it.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.accounts import PASSWORD, SECOND_STAFF, sign_up
from tests.e2e.clicks import Office
from tests.e2e.granting import apply_coupon, code_in, grant, mail_about
from tests.e2e.inspection import Inspector
from tests.e2e.partnering import (
    IBAN,
    IBAN_SHOWN,
    JOIN,
    MISTYPED_IBAN,
    NAME,
    ORDINARY_BROWSER,
    PAYEE,
    be_affiliate,
    become_affiliate,
    buy_through,
    choose_payouts,
    come_to_join,
    copy_link,
    draft_payouts,
    entries,
    expect_dashboard,
    expect_figures,
    fill_joining,
    go_to_checkout,
    intent_of,
    link_to,
    open_dashboard,
    open_refund,
    pay,
    refund,
    rows_of,
    step,
    take_step,
)
from tests.e2e.running_demo import HastyShop, RunningDemo
from tests.e2e.shopping import expect_state, fill_checkout, new_email
from tests.e2e.visitor import DESKTOP, PHONE, Visitor
from tests.sandbox_client import Sandbox, wait_until

COURSE, TITLE = "data-analysis-foundations", "Data Analysis Foundations"  # $499.00
OWN_LINK = "This is your own link. You can buy as usual; your own purchases earn no commission."
NOT_ENOUGH = "No affiliate has enough to pay out by that day in that currency and by that method."
SAME_PERSON = "Whoever drafted a payout cannot release it. Ask a colleague."
FORMULA = "=cmd|' /C calc'!A0"
REFERENCE = "SEPA 7-2026-11"
PICTURE_AND_HIDDEN_TEXT = (
    "field => [getComputedStyle(field).backgroundImage, field.scrollWidth - field.clientWidth]"
)


@pytest.fixture
def visit(visit: Callable[..., Visitor]) -> Callable[..., Visitor]:
    """Everybody here comes with a browser that is counted as one."""
    return partial(visit, user_agent=ORDINARY_BROWSER)


@pytest.fixture(scope="module")
def hasty_shop(demo: RunningDemo) -> Iterator[HastyShop]:
    shop = HastyShop(demo)
    try:
        yield shop.wait()
    finally:
        shop.stop()


@pytest.fixture
def payable_at_once(hasty_shop: HastyShop, demo: RunningDemo, sandbox: Sandbox) -> Iterator[str]:
    """The address of a shop whose sales are payable at once, and which is told of payments by
    Stripe.
    """
    sandbox.webhooks(url=f"{hasty_shop.url}/api/webhook")
    yield hasty_shop.url
    sandbox.webhooks(url=f"{demo.url}/api/webhook")


# --- joining --------------------------------------------------------------------------------------
def test_joining(visitor: Visitor, sandbox: Sandbox, inspector: Inspector):
    page, email = visitor.page, new_email("grace")
    come_to_join(page, sandbox, email)
    visitor.expect_statuses(400)
    page.get_by_role("button", name=JOIN).click()
    expect(page.get_by_role("alert").get_by_role("link")).to_have_count(4)
    fill_joining(page, iban=MISTYPED_IBAN)
    page.get_by_role("button", name=JOIN).click()
    expect(page.get_by_role("alert")).to_contain_text(
        "has a typing mistake: its check digits do not fit"
    )
    inspector.look(page, "affiliate-join-wrong-iban")
    page.set_viewport_size(PHONE)
    assert page.get_by_label("IBAN", exact=True).evaluate(PICTURE_AND_HIDDEN_TEXT) == ["none", 0]
    page.set_viewport_size(DESKTOP)
    page.get_by_role("alert").get_by_role("link").click()
    expect(page.get_by_label("IBAN", exact=True)).to_be_focused()
    page.get_by_label("IBAN", exact=True).fill(IBAN)
    page.get_by_role("button", name=JOIN).click()
    expect(page.get_by_text("Welcome to the affiliate program.")).to_be_visible()
    inspector.look(page, "affiliate-dashboard-new")
    link = page.get_by_role("textbox", name="Your link").input_value()
    page.get_by_role("link", name="Payout details").click()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_text(IBAN_SHOWN)).to_be_visible()
    mail = mail_about(sandbox, email, "Welcome to the affiliate program")
    assert link in mail["text"]
    assert IBAN.replace(" ", "") not in mail["text"].replace(" ", "")
    inspector.look_at_mail(page, mail["html"], "mail-affiliate-welcome")


def test_joining_and_links_by_keyboard_alone_and_without_javascript(
    visit: Callable[..., Visitor], sandbox: Sandbox
):
    page, email = visit(java_script_enabled=False).page, new_email("grace")
    sign_up(page, sandbox, email)
    page.goto("/affiliates/join/")
    page.get_by_label("Name that buyers see").focus()
    type_keys(
        page,
        NAME,
        "Tab",
        "Norway",
        "Tab",
        "Space",
        "ArrowDown",
        "Tab",
        PAYEE,
        "Tab",
        IBAN,
        "Tab",
        "Space",
        "Enter",
    )
    expect_dashboard(page)
    assert (
        f"Bank transfer, {IBAN_SHOWN}"
        in mail_about(sandbox, email, "Welcome to the affiliate program")["text"]
    )
    assert re.fullmatch(rf"http://\S+/r/[a-z0-9]+/{COURSE}/", link_to(page, TITLE))
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)


def type_keys(page: Page, *words: str) -> None:
    """Press keys that are named, type everything else."""
    for word in words:
        press = (
            page.keyboard.press
            if re.fullmatch("Tab|Space|Enter|ArrowDown", word)
            else page.keyboard.type
        )
        press(word)


# --- selling --------------------------------------------------------------------------------------
def test_a_sale_is_explained_to_the_cent(
    visit: Callable[..., Visitor], sandbox: Sandbox, inspector: Inspector, tmp_path: Path
):
    partner, buyer = visit(), visit(viewport=PHONE).page
    page = partner.page
    become_affiliate(partner, sandbox)
    link = copy_link(partner, TITLE)
    go_to_checkout(buyer, link)
    expect(buyer.locator("aside")).to_contain_text(f"Referred by {NAME}")
    inspector.look(buyer, "checkout-referred")
    pay(buyer, new_email())
    open_dashboard(page)
    expect_figures(
        page,
        visits="1",
        checkouts="1",
        purchases="1",
        rate="100.0 %",
        pending="$49.90",
        payable="$0.00",
        paid="$0.00",
    )
    assert entries(page) == [("Commission", "$49.90")]
    page.get_by_role("link", name="Pending, $49.90: explain this figure").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Pending: $49.90")
    assert entries(page) == [("Commission", "$49.90")]
    page.get_by_role("link", name=TITLE).click()
    expect(page.locator(".sum")).to_have_text(
        "10 % of $499.00 (the price before any discount) = $49.90"
    )
    page.get_by_role("link", name="Statements").click()
    page.get_by_role("link", name=f"{datetime.now(UTC):%B %Y}", exact=True).click()
    expect(page).to_have_url(re.compile(r"/statements/\d{4}-\d{2}/"))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    _, opening, sale, closing = rows_of(download.value, tmp_path)
    assert sale[1:8] == ["Commission", TITLE, "499.00", "10 %", "49.90", "", "USD"]
    assert (opening[5], closing[5]) == ("0.00", "49.90")


def test_ones_own_link_earns_nothing_and_stops_no_purchase(
    visitor: Visitor, sandbox: Sandbox, inspector: Inspector
):
    page, email = visitor.page, be_affiliate(visitor, sandbox)
    open_dashboard(page)
    before = entries(page)
    go_to_checkout(page, link_to(page, TITLE))
    expect(page.get_by_text(OWN_LINK)).to_be_visible()
    inspector.look(page, "checkout-own-link")
    pay(page, email)
    open_dashboard(page)
    assert entries(page) == before


# --- taking back ----------------------------------------------------------------------------------
def test_refunds_take_the_commission_back(
    visit: Callable[..., Visitor], sandbox: Sandbox, inspector: Inspector
):
    partner, buyer, staff, email = visit(), visit().page, visit(), new_email()
    be_affiliate(partner, sandbox)
    place = buy_through(buyer, link_to(partner.page, TITLE), email)
    office = open_refund(staff, email)
    office.get_by_label("Amount in USD").fill("249.50")
    office.get_by_label("Amount in USD").press("Tab")
    expect(office.get_by_text("$24.95 of the commission of $49.90")).to_be_visible()
    inspector.look(office, "office-refund", taps=False)
    refund(office)
    assert (
        "Your access to the course does not change."
        in mail_about(sandbox, email, "$249.50 is on its way back")["text"]
    )
    assert len(sandbox.enrollments(email)) == 1
    expect_entries(partner.page, ("Reversal", "−$24.95"), ("Commission", "$49.90"))

    office = open_refund(staff, email)
    expect(office.get_by_label("Amount in USD")).to_have_value("249.50")
    expect(office.get_by_text("The enrollment ends, and access is revoked.")).to_be_visible()
    refund(office)
    expect_entries(
        partner.page, ("Reversal", "−$24.95"), ("Reversal", "−$24.95"), ("Commission", "$49.90")
    )
    partner.page.locator(".ledger a").first.click()
    expect(
        partner.page.get_by_text("All of it together leaves you $0.00 of this sale.")
    ).to_be_visible()
    inspector.look(partner.page, "affiliate-entry-reversal")
    buyer.goto(place)
    expect_state(buyer, "refunded")
    wait_until(lambda: not sandbox.enrollments(email))


def expect_entries(page: Page, *latest: tuple[str, str]) -> None:
    open_dashboard(page)
    assert entries(page)[: len(latest)] == list(latest)


def test_a_dispute_holds_the_commission_until_it_is_won(
    visit: Callable[..., Visitor], sandbox: Sandbox, inspector: Inspector
):
    partner, email = visit(), new_email()
    page = partner.page
    be_affiliate(partner, sandbox)
    buy_through(visit().page, link_to(page, TITLE), email)
    dispute = sandbox.dispute(intent_of(sandbox, email), wait=5)
    open_dashboard(page)
    page.get_by_role("link", name="$49.90 is on hold").click()
    page.wait_for_url("**figure=held**")
    assert entries(page) == [("Commission", "$49.90")]
    page.get_by_role("link", name=TITLE).click()
    expect(page.get_by_text("until it is settled with the buyer’s bank")).to_be_visible()
    inspector.look(page, "affiliate-entry-disputed")
    sandbox.close_dispute(dispute["id"], "won", wait=5)
    page.reload()
    expect(page.get_by_text("until it is settled with the buyer’s bank")).to_have_count(0)
    expect_entries(page, ("Commission", "$49.90"))
    expect(page.get_by_text("on hold")).to_have_count(0)


# --- paying out -----------------------------------------------------------------------------------
def draft_in_three_clicks(staff: Visitor, shop: str) -> None:
    with Office(staff, shop=shop).within(clicks=3) as page:
        page.get_by_role("link", name="Payout runs").press("Enter")
        choose_payouts(page)
        expect(page.get_by_text("Drafted: 1 payout, $49.90.")).to_be_visible()


def release_in_four_clicks(colleague: Visitor, shop: str) -> None:
    with Office(colleague, SECOND_STAFF, shop=shop).within(clicks=4) as page:
        page.get_by_role("link", name="payout to release").press("Enter")
        page.locator("#result_list tbody").get_by_role("link").first.press("Enter")
        step(page, "Release")
        take_step(page, "Release", "Released: 1 payout, $49.90.")


def test_two_persons_pay_what_a_discounted_sale_has_earned(
    visit: Callable[..., Visitor],
    demo: RunningDemo,
    payable_at_once: str,
    sandbox: Sandbox,
    inspector: Inspector,
    tmp_path: Path,
):
    partner, buyer, staff, colleague = (visit(origins=[payable_at_once]) for _ in range(4))
    page, office, email = (
        partner.page,
        colleague.page,
        become_affiliate(partner, sandbox, payee=FORMULA),
    )
    buy_with_grant(buyer, staff, sandbox, link_to(page, TITLE).replace(demo.url, payable_at_once))
    expect(draft_payouts(staff, demo.url).get_by_role("alert")).to_have_text(NOT_ENOUGH)
    inspector.look(staff.page, "office-payouts-draft", taps=False)
    draft_in_three_clicks(staff, payable_at_once)
    batch = staff.page.url
    inspector.look(staff.page, "office-payouts", taps=False)
    step(staff.page, "Release")
    expect(staff.page.get_by_role("alert")).to_have_text(SAME_PERSON)
    expect(staff.page.get_by_role("button", name="Release")).to_have_count(0)

    release_in_four_clicks(colleague, payable_at_once)
    step(office, "Download the file")
    with office.expect_download() as download:
        office.get_by_role("button", name="Download the file").click()
    _, line = rows_of(download.value, tmp_path)
    assert line[:4] == [f"'{FORMULA}", IBAN.replace(" ", ""), "49.90", "USD"]
    office.goto(batch)
    step(office, "Mark paid")
    office.get_by_label("Reference").fill(REFERENCE)
    inspector.look(office, "office-payouts-mark-paid", taps=False)
    take_step(office, "Mark paid", "Marked paid: 1 payout, $49.90.")

    expect_entries(page, ("Payout", "−$49.90"), ("Commission", "$49.90"))
    expect_figures(page, pending="$0.00", payable="$0.00", paid="$49.90")
    page.locator(".ledger a").first.click()
    expect(page.get_by_text(REFERENCE)).to_be_visible()
    inspector.look(page, "affiliate-entry-payout")
    expect_mail_about_payout(page, sandbox, email, inspector)


def expect_mail_about_payout(
    page: Page, sandbox: Sandbox, email: str, inspector: Inspector
) -> None:
    mail = mail_about(sandbox, email, "$49.90 is on its way to you")
    assert REFERENCE in mail["text"]
    inspector.look_at_mail(page, mail["html"], "mail-affiliate-payout")


def buy_with_grant(buyer: Visitor, staff: Visitor, sandbox: Sandbox, link: str) -> None:
    """Follow an affiliate's link, and buy with a grant of the half."""
    page, email = buyer.page, new_email()
    coupon = code_in(grant(page, staff, sandbox, COURSE, email, 50))
    go_to_checkout(page, link)
    fill_checkout(page, email)
    apply_coupon(page, coupon)
    expect(page.get_by_text("you pay $249.50")).to_be_visible()
    pay(page, email)
