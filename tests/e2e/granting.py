"""What applicants and staff do about grants, step by step."""

import re

from playwright.sync_api import Page, expect

from tests.e2e.test_office import be_staff, enter_office
from tests.e2e.visitor import Visitor
from tests.sandbox_client import Sandbox, wait_until

CODE = re.compile(r"MAAL(-[A-Z2-9]{4}){3}")
LINK = re.compile(r"https?://\S+")
FIELD = re.compile(r'<input[^>]* name="([^"]+)"[^>]* value="([^"]*)"')
SITUATION = "I study next to two part-time jobs.\nHalf of the price would be possible."
MOTIVATION = "To find better work <b>in my town</b>."
APPLICATION = re.compile(r"/admin/grants/grant/[0-9a-f-]{36}/")


def apply(page: Page, slug: str, email: str, name: str = "Ada Applicant") -> None:
    page.goto(f"/grants/apply/{slug}/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Your situation").fill(SITUATION)
    page.get_by_label("What the course is for").fill(MOTIVATION)
    page.get_by_label("may use what I wrote").check()
    page.get_by_role("button", name="Send the application").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you for your application")


def approve(staff: Visitor, email: str, percent: int) -> None:
    """Sign in as staff and approve somebody's application."""
    page = open_application(staff, email)
    page.get_by_role("link", name="Approve").click()
    page.get_by_label("Percent").fill(str(percent))
    page.get_by_label("Note").fill("We look forward to having you.")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("Approved.")).to_be_visible()


def open_application(staff: Visitor, email: str) -> Page:
    """Sign in as staff, and open the page of somebody's application."""
    enter_office(staff, f"/admin/grants/grant/?q={email}")
    # By keyboard: the list moves while its scripts start, and a click may land beside the link.
    staff.page.locator("#result_list").get_by_role("link", name="Ada Applicant").first.press(
        "Enter"
    )
    expect(staff.page).to_have_url(re.compile("/change/"))
    return staff.page


def mail_about(sandbox: Sandbox, email: str, words: str) -> dict:
    """Wait for the mail whose subject has these words."""
    return wait_until(lambda: [mail for mail in sandbox.mails(email) if words in mail["subject"]])[
        0
    ]


def code_in(mail: dict) -> str:
    return CODE.search(mail["text"])[0]


def link_in(mail: dict, part: str) -> str:
    return next(link for link in LINK.findall(mail["text"]) if part in link)


def apply_coupon(page: Page, code: str) -> None:
    page.get_by_label("Coupon code").fill(code)
    page.get_by_role("button", name="Apply the coupon").click()


# --- the same, without looking at a page ----------------------------------------------------------
def grant(
    page: Page, staff: Visitor, sandbox: Sandbox, slug: str, email: str, percent: int
) -> dict:
    """Apply, have it approved, and return the mail with the code."""
    send_application(page, slug, email)
    be_staff(staff)
    found = staff.page.request.get(f"/admin/grants/grant/?q={email}").text()
    send(staff.page, f"{APPLICATION.search(found)[0]}approve/", percent=str(percent), decide="1")
    return mail_about(sandbox, email, "approved")


def send_application(page: Page, slug: str, email: str) -> None:
    words = {"name": "Ada Applicant", "situation": SITUATION, "motivation": MOTIVATION}
    send(page, f"/grants/apply/{slug}/", email=email, consent="on", **words)


def send(page: Page, path: str, **fields: str) -> None:
    """Send the form of a page, with what stands in it and these fields."""
    form = {**dict(FIELD.findall(page.request.get(path).text())), **fields}
    answer = page.request.post(path, form=form)
    assert answer.ok, answer.text()[:2000]
