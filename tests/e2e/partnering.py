"""What affiliates, those they send and those who pay them do, step by step, as they would tell
it.
"""

import csv
import re
from pathlib import Path

from playwright.sync_api import Download, Locator, Page, expect

from tests.e2e.accounts import PASSWORD, code_from, sign_up
from tests.e2e.shopping import expect_state, fill_checkout, new_email, pay_by_card
from tests.e2e.test_office import enter_office
from tests.e2e.visitor import Visitor
from tests.sandbox_client import Sandbox

# A browser without a window calls itself one in every request, and programs are not counted as
# visitors.
ORDINARY_BROWSER = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0"
    " Safari/537.36"
)
NAME, PAYEE = "Grace's Reading List", "Grace Partner"
IBAN, IBAN_SHOWN = "GB33 BUKB 2020 1555 5555 55", "GB•• •••• 5555"
MISTYPED_IBAN = "GB33 BUKB 2020 1555 5555 56"
JOIN = "Join and get my link"
ACQUAINTED = "an affiliate of long standing"


# --- joining --------------------------------------------------------------------------------------
def come_to_join(page: Page, sandbox: Sandbox, email: str) -> None:
    """Go from the first page to the form that joins, and make an account on the way."""
    page.goto("/")
    page.get_by_label("About this site").get_by_role("link", name="Affiliates").click()
    page.get_by_role("link", name="Join the program").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.get_by_role("link", name="Create an account").click()
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.get_by_label("Code").fill(code_from(sandbox, email, "code"))
    page.get_by_role("button", name="Confirm", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Join the affiliate program")


def fill_joining(page: Page, *, payee: str = PAYEE, iban: str = IBAN) -> None:
    page.get_by_label("Name that buyers see").fill(NAME)
    page.get_by_label("Country where you pay tax").select_option(label="Norway")
    page.get_by_label("Bank transfer").check()
    page.get_by_label("Account holder").fill(payee)
    page.get_by_label("IBAN", exact=True).fill(iban)
    page.get_by_label("I accept the terms").check()


def become_affiliate(visitor: Visitor, sandbox: Sandbox, *, payee: str = PAYEE) -> str:
    """Sign up and join with a bank account; return the e-mail address."""
    email, page = new_email("grace"), visitor.page
    sign_up(page, sandbox, email)
    page.goto("/affiliates/join/")
    fill_joining(page, payee=payee)
    page.get_by_role("button", name=JOIN).click()
    expect_dashboard(page)
    return email


def be_affiliate(visitor: Visitor, sandbox: Sandbox) -> str:
    """Be an affiliate who joined once in a run and may have sold before; return the e-mail
    address.
    """
    if ACQUAINTED in visitor.sessions:
        visitor.session, email = visitor.sessions[ACQUAINTED]
    else:
        email = become_affiliate(visitor, sandbox)
        visitor.sessions[ACQUAINTED] = visitor.session, email
    return email


# --- selling --------------------------------------------------------------------------------------
def find_link(page: Page, title: str) -> Locator:
    """Search the link builder for a course, and return where it is shown."""
    page.goto("/affiliates/links/")
    page.get_by_label("Search courses").fill(title)
    page.get_by_role("button", name="Search").click()
    found = page.locator(".link-list li")
    expect(found).to_have_count(1)
    return found


def link_to(page: Page, title: str) -> str:
    return find_link(page, title).get_by_role("textbox").input_value()


def copy_link(visitor: Visitor, title: str) -> str:
    """Copy the link to a course in the link builder, and return what is in the clipboard then."""
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    found = find_link(visitor.page, title)
    found.get_by_role("button", name="Copy").click()
    expect(found.get_by_role("button", name="Copied")).to_be_visible()
    return visitor.page.evaluate("navigator.clipboard.readText()")


def go_to_checkout(page: Page, link: str) -> None:
    """Follow a link to a course, and go on to its checkout."""
    page.goto(link)
    page.get_by_role("link", name=re.compile("^Enroll")).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Checkout")


def pay(page: Page, email: str) -> str:
    """Fill the checkout that is shown and pay; return the address of the status page once the
    course is ready.
    """
    fill_checkout(page, email)
    page.get_by_role("button", name="Continue to payment").click()
    expect(page).to_have_url(re.compile("/pay/"))
    pay_by_card(page)
    expect_state(page, "ready")
    return page.url.partition("?")[0]


def buy_through(page: Page, link: str, email: str) -> str:
    """Follow a link and buy the course; return the address of its status page."""
    go_to_checkout(page, link)
    return pay(page, email)


def intent_of(sandbox: Sandbox, email: str) -> str:
    """Return the payment intent with which somebody paid, as Stripe knows it."""
    return next(
        session["payment_intent"]
        for session in sandbox.sessions()
        if session["customer_email"] == email
    )


# --- what an affiliate sees -----------------------------------------------------------------------
def expect_dashboard(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("Affiliate dashboard")


def open_dashboard(page: Page) -> None:
    page.goto("/affiliates/dashboard/")
    expect_dashboard(page)


def expect_figures(page: Page, **values: str) -> None:
    """See that the dashboard's figures say this: `pending="$49.90", visits="1"`."""
    for name, value in values.items():
        figure = page.locator("dl.figures div").filter(
            has=page.get_by_text(name.capitalize(), exact=True)
        )
        expect(figure.locator("dd").first).to_have_text(value)


def entries(page: Page) -> list[tuple[str, str]]:
    """Return the kind and the amount of each entry that is listed."""
    return [
        (line.locator(".kind").inner_text(), line.locator(".amount").inner_text())
        for line in page.locator(".ledger li").all()
    ]


def rows_of(download: Download, directory: Path) -> list[list[str]]:
    file = directory / download.suggested_filename
    download.save_as(file)
    with file.open(newline="", encoding="utf-8-sig") as opened:
        return list(csv.reader(opened))


# --- in the office --------------------------------------------------------------------------------
def open_refund(staff: Visitor, email: str) -> Page:
    """Find the place of a learner in the office, and open the form that refunds it."""
    enter_office(staff, f"/admin/enrollments/enrollment/?q={email}")
    # By keyboard: the list moves while its scripts start, and a click may land beside the link.
    staff.page.locator("#result_list").get_by_role("link", name=email).press("Enter")
    expect(staff.page).to_have_url(re.compile("/change/"))
    staff.page.get_by_role("link", name="Refund", exact=True).press("Enter")
    expect(staff.page.get_by_role("heading", name="What was paid")).to_be_visible()
    return staff.page


def refund(page: Page) -> None:
    page.get_by_role("button", name="Refund", exact=True).click()
    expect(page.get_by_text(" refunded.")).to_be_visible()


def draft_payouts(staff: Visitor, shop: str) -> Page:
    """Draft bank transfers in dollars in the office of a shop; return the page that answers."""
    enter_office(staff, f"{shop}/admin/affiliates/payoutbatch/")
    choose_payouts(staff.page)
    return staff.page


def choose_payouts(page: Page) -> None:
    """Draft bank transfers in dollars, from the list of batches."""
    page.get_by_role("link", name="Draft payouts").press("Enter")
    page.get_by_label("Currency").select_option("usd")
    page.get_by_label("Method").select_option("bank")
    page.get_by_role("button", name="Draft payouts").click()


def step(page: Page, name: str) -> None:
    """Open a step of the batch that is shown."""
    page.get_by_role("link", name=name, exact=True).press("Enter")
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def take_step(page: Page, name: str, told: str) -> None:
    """Take the step that is shown, and read what came of it."""
    page.get_by_role("button", name=name).click()
    expect(page.get_by_text(told)).to_be_visible()
