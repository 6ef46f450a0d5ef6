"""From an application for a grant to a place in the course, as applicants, staff and learners go
through it.
"""

import re
import sqlite3
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from tests.e2e.granting import (
    apply,
    apply_coupon,
    approve,
    code_in,
    grant,
    link_in,
    mail_about,
    open_application,
    send_application,
)
from tests.e2e.inspection import Inspector
from tests.e2e.running_demo import RunningDemo
from tests.e2e.shopping import expect_state, fill_checkout, new_email, pay_by_card
from tests.e2e.test_office import enter_office
from tests.e2e.visitor import PHONE, Visitor
from tests.sandbox_client import Sandbox, wait_until

COURSE = "data-analysis-foundations"  # $499.00
REFUSAL = "Coupon already used or invalid."


def total(page: Page) -> Locator:
    return page.locator(".order .total strong")


def test_apply_on_a_phone(visit: Callable[..., Visitor], sandbox: Sandbox, inspector: Inspector):
    visitor, email = visit(viewport=PHONE, has_touch=True, is_mobile=True), new_email()
    page = visitor.page
    page.goto(f"/courses/{COURSE}/")
    page.get_by_role("link", name="Apply for a grant").tap()
    visitor.expect_statuses(400)
    page.get_by_role("button", name="Send the application").tap()
    expect(page.get_by_role("alert").get_by_role("link")).to_have_count(5)
    page.get_by_role("alert").get_by_role("link").first.tap()
    expect(page.get_by_label("Name")).to_be_focused()
    apply(page, COURSE, email)
    mail = mail_about(sandbox, email, "We have your application")
    page.goto(link_in(mail, "/grants/"))
    expect(page.get_by_role("heading", level=1)).to_have_text("We have your application")
    expect(page.get_by_text("You get an answer by e-mail by")).to_be_visible()
    inspector.look_at_mail(page, mail["html"], "mail-grant-received")


def test_the_answer_never_tells_whether_an_address_is_known(visitor: Visitor):
    page, email = visitor.page, new_email()
    apply(page, COURSE, email)
    first = page.locator("main").inner_text()
    apply(page, COURSE, email)
    assert page.locator("main").inner_text() == first


def test_free_grant(visit: Callable[..., Visitor], sandbox: Sandbox, inspector: Inspector):
    page, staff, email = visit().page, visit(), new_email()
    apply(page, COURSE, email)
    approve(staff, email, 100)
    mail = mail_about(sandbox, email, "approved")
    page.goto(link_in(mail, "/grants/"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Your grant is approved")
    page.get_by_role("link", name="Use it and enroll").click()
    expect(page.get_by_label("E-mail address of the learner")).to_have_value(email)
    expect(page.get_by_label("Coupon code")).to_have_value(code_in(mail))
    expect(total(page)).to_have_text("Free")
    page.get_by_label("I accept the terms").check()
    page.get_by_role("button", name="Enroll for free").click()
    expect_state(page, "ready")
    expect(page.get_by_text("Enrollment received")).to_be_visible()
    ready = mail_about(sandbox, email, "Your course is ready")
    assert "Original price:  $499.00" in ready["text"]
    assert len([each for each in sandbox.mails(email) if "ready" in each["subject"]]) == 1
    assert len(sandbox.enrollments(email)) == 1
    assert [each for each in sandbox.sessions() if each["customer_email"] == email] == []
    page.goto(link_in(mail, "/grants/"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Your grant has been used")
    inspector.look_at_mail(page, mail["html"], "mail-grant-approved")
    inspector.look_at_mail(page, ready["html"], "mail-grant-enrollment")


def test_partial_grant(visit: Callable[..., Visitor], sandbox: Sandbox, inspector: Inspector):
    slug, saving, to_pay = "project-finance-essentials", "$66.00", "$133.99"
    page, staff, email = visit().page, visit(), new_email()
    code = code_in(grant(page, staff, sandbox, slug, email, 33))
    page.goto(f"/checkout/{slug}/")
    fill_checkout(page, email)
    apply_coupon(page, code.lower())
    expect(page.get_by_role("status")).to_have_text(
        f"Your grant takes {saving} off: you pay {to_pay}."
    )
    expect(total(page)).to_have_text(to_pay)
    expect(page.get_by_label("Name")).to_have_value("Ada Buyer")
    page.get_by_role("button", name=f"Continue to payment, {to_pay}").click()
    expect(page).to_have_url(re.compile("/pay/"))
    expect(page.get_by_text(f"{to_pay[1:]} USD").first).to_be_visible()
    pay_by_card(page)
    expect_state(page, "ready")
    ready = mail_about(sandbox, email, "Your course is ready")
    assert f"Your grant saved you {saving}." in ready["text"]
    assert to_pay in ready["text"]
    assert len(sandbox.enrollments(email)) == 1
    inspector.look_at_mail(page, ready["html"], "mail-partial-grant")


def test_what_is_left_under_the_minimum_is_free(
    visit: Callable[..., Visitor], sandbox: Sandbox, inspector: Inspector
):
    page, staff, email = visit().page, visit(), new_email()
    send_application(page, "first-aid-for-workplaces", email)
    office = open_application(staff, email)
    office.get_by_role("link", name="Approve").click()
    expect(office.get_by_text("To find better work <b>in my town</b>.")).to_be_visible()
    office.get_by_label("Percent").fill("99")
    office.get_by_label("Percent").press("Tab")
    expect(
        office.get_by_text("under Stripe's minimum: the enrollment will be free")
    ).to_be_visible()
    expect(office.get_by_text("No budget is charged: without a program")).to_be_visible()
    inspector.look(office, "office-approve", taps=False)
    office.get_by_role("button", name="Approve").click()
    page.goto(link_in(mail_about(sandbox, email, "approved"), "/checkout/"))
    expect(total(page)).to_have_text("Free")
    page.get_by_label("I accept the terms").check()
    page.get_by_role("button", name="Enroll for free").click()
    expect_state(page, "ready")


def test_a_coupon_comes_back_when_the_payment_is_given_up(
    visit: Callable[..., Visitor], sandbox: Sandbox
):
    page, staff, email = visit().page, visit(), new_email()
    mail = grant(page, staff, sandbox, COURSE, email, 50)
    page.goto(link_in(mail, "/checkout/"))
    page.get_by_label("I accept the terms").check()
    page.get_by_role("button", name="Continue to payment, $249.50").click()
    expect(page).to_have_url(re.compile("/pay/"))
    page.goto(link_in(mail, "/grants/"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Your coupon is in use")
    page.get_by_role("link", name="Back to the checkout").click()
    expect(page.get_by_text("The coupon is reserved for you until")).to_be_visible()
    page.get_by_label("I accept the terms").check()
    page.get_by_role("button", name="Continue to payment, $249.50").click()
    page.get_by_role("link", name="Close without paying").click()
    page.get_by_role("button", name="Cancel the checkout").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Checkout cancelled")
    page.goto(link_in(mail, "/grants/"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Your grant is approved")


def test_every_bad_code_is_refused_in_the_same_words(
    visit: Callable[..., Visitor], demo: RunningDemo, sandbox: Sandbox, inspector: Inspector
):
    visitor, staff, email = visit(), visit(), new_email()
    page = visitor.page
    visitor.expect_statuses(409)
    code = code_in(grant(page, staff, sandbox, COURSE, email, 50))
    page.goto(f"/checkout/{COURSE}/")
    fill_checkout(page, new_email("somebody-else"))
    with page.expect_response(re.compile("/coupon/")) as told:
        apply_coupon(page, code)
    assert told.value.status == 409
    expect(page.get_by_role("status")).to_have_text(REFUSAL)
    apply_coupon(page, "MAAL-AAAA-BBBB-CCCC")
    expect(page.get_by_role("status")).to_have_text(REFUSAL)
    expect(total(page)).to_have_text("$499.00")
    inspector.look(page, "checkout-coupon-refused")
    let_expire(demo, code)
    fill_checkout(page, email)
    apply_coupon(page, code)
    expect(page.get_by_role("status")).to_have_text(REFUSAL)


def let_expire(demo: RunningDemo, code: str) -> None:
    with sqlite3.connect(demo.directory / "shop.sqlite3", timeout=10) as database:
        database.execute(
            "UPDATE grants_grant SET expires_at = '2026-01-01 00:00:00' WHERE code = ?", [code]
        )
    database.close()


def test_guessing_is_slowed_down(visitor: Visitor):
    page = visitor.page
    visitor.expect_statuses(400, 409, 429)
    page.goto(f"/checkout/{COURSE}/")
    apply_coupon(page, "MAAL-AAAA-BBBB-CCC9")
    expect(page.get_by_role("status")).to_contain_text("Enter your e-mail first")
    fill_checkout(page, new_email())
    for number in range(5):
        with page.expect_response(re.compile("/coupon/")):
            apply_coupon(page, f"MAAL-AAAA-BBBB-CCC{number + 2}")
    apply_coupon(page, "MAAL-AAAA-BBBB-CCC9")
    expect(page.get_by_role("status")).to_contain_text("Too many attempts")


def test_a_coupon_without_javascript(visit: Callable[..., Visitor], sandbox: Sandbox):
    visitor, staff, email = visit(java_script_enabled=False), visit(), new_email()
    page = visitor.page
    code = code_in(grant(page, staff, sandbox, COURSE, email, 50))
    visitor.expect_statuses(400, 409)
    page.goto(f"/checkout/{COURSE}/")
    apply_coupon(page, code)
    expect(page.get_by_role("alert")).to_contain_text("Enter your e-mail first")
    fill_checkout(page, email)
    apply_coupon(page, "MAAL-AAAA-BBBB-CCCC")
    expect(page.get_by_role("alert")).to_contain_text(REFUSAL)
    apply_coupon(page, code)
    expect(total(page)).to_have_text("$249.50")
    expect(page.get_by_label("E-mail address of the learner")).to_have_value(email)
    expect(page.get_by_label("I accept the terms")).to_be_checked()
    page.get_by_role("button", name="Continue to payment, $249.50").click()
    expect(page).to_have_url(re.compile("/pay/"))


def test_enter_goes_on_and_does_not_try_the_coupon(visitor: Visitor):
    page = visitor.page
    page.goto(f"/checkout/{COURSE}/")
    fill_checkout(page, new_email())
    page.get_by_label("E-mail address of the learner").press("Enter")
    expect(page).to_have_url(re.compile("/pay/"))


def test_a_forgotten_tick_keeps_the_quote(visit: Callable[..., Visitor], sandbox: Sandbox):
    visitor, staff, email = visit(), visit(), new_email()
    page = visitor.page
    page.goto(link_in(grant(page, staff, sandbox, COURSE, email, 50), "/checkout/"))
    visitor.expect_statuses(400)
    page.get_by_role("button", name="Continue to payment, $249.50").click()
    expect(page.get_by_role("alert")).to_contain_text("Please accept the terms")
    expect(total(page)).to_have_text("$249.50")


def test_staff_reject_many_at_once(
    visit: Callable[..., Visitor], sandbox: Sandbox, inspector: Inspector
):
    page, staff, family = visit().page, visit(), new_email("family").split("@")[0]
    emails = [f"{family}.{name}@example.com" for name in ("one", "two")]
    for email in emails:
        send_application(page, "ux-writing", email)
    enter_office(staff, f"/admin/grants/grant/?q={family}")
    office = staff.page
    office.locator("#action-toggle").check()
    office.locator("select[name=action]").first.select_option("reject")
    office.get_by_role("button", name="Run").first.click()
    expect(office.get_by_role("article")).to_have_count(2)
    inspector.look(office, "office-reject-many", taps=False)
    office.get_by_label("Reason").select_option("budget")
    office.get_by_label("Note").fill("Please try again in spring.")
    office.get_by_role("button", name="Reject").click()
    expect(office.get_by_text("2 rejected, 0 skipped.")).to_be_visible()
    mail = mail_about(sandbox, emails[1], "About your application")
    assert "The reason: The fund for this period is used up." in mail["text"]
    assert "Please try again in spring." in mail["text"]
    wait_until(lambda: len(sandbox.mails(emails[0])) == 2)
    page.goto(link_in(mail_about(sandbox, emails[1], "We have your application"), "/grants/"))
    expect(page.get_by_role("heading", level=1)).to_have_text("We could not give you this grant")
    inspector.look_at_mail(page, mail["html"], "mail-grant-rejected")


def test_staff_decide_without_javascript(visit: Callable[..., Visitor], sandbox: Sandbox):
    """About one application on its page, and about many in their list: the pages are shown, and
    send what was chosen.
    """
    page, staff, family = (
        visit().page,
        visit(java_script_enabled=False, viewport={"width": 1440, "height": 900}),
        new_email("plain").split("@")[0],
    )
    emails = [f"{family}.{name}@example.com" for name in ("one", "two", "three")]
    for email in emails:
        send_application(page, "ux-writing", email)
    office = open_application(staff, emails[0])
    office.get_by_role("link", name="Approve").click()
    office.get_by_label("Percent").fill("9")
    office.get_by_label("Note").fill("Welcome.")
    office.get_by_role("button", name="Approve").click()
    expect(office.get_by_text("greater than or equal to 10")).to_be_visible()
    expect(office.get_by_label("Note")).to_have_value("Welcome.")
    office.get_by_label("Percent").fill("40")
    office.get_by_role("button", name="Show what it costs").click()
    expect(office.get_by_role("heading", name="What it costs at 40 %")).to_be_visible()
    office.get_by_role("button", name="Approve").click()
    expect(office.get_by_text("Approved.")).to_be_visible()
    office.goto(f"/admin/grants/grant/?q={family}")
    for row in office.locator("#result_list .action-select").all():
        row.check()
    office.locator("select[name=action]").first.select_option("reject")
    office.get_by_role("button", name="Run").first.click()
    office.get_by_label("Reason").select_option("budget")
    office.get_by_role("button", name="Reject").click()
    expect(office.get_by_text("2 rejected, 1 skipped.")).to_be_visible()


def test_staff_reissue_and_revoke(visit: Callable[..., Visitor], sandbox: Sandbox):
    page, staff, email = visit().page, visit(), new_email()
    first = code_in(grant(page, staff, sandbox, COURSE, email, 50))
    office = open_application(staff, email)
    office.get_by_role("link", name="Reissue code").click()
    office.get_by_role("button", name="Reissue code").click()
    fresh = wait_until(
        lambda: [
            each
            for each in sandbox.mails(email)
            if "approved" in each["subject"] and first not in each["text"]
        ]
    )[0]
    page.goto(link_in(fresh, "/checkout/"))
    expect(total(page)).to_have_text("$249.50")
    office.get_by_role("link", name="Revoke").click()
    office.get_by_label("Reason").fill("Moved away")
    office.get_by_role("button", name="Revoke").click()
    expect(office.get_by_text("Revoked: Moved away.")).to_be_visible()
    page.goto(link_in(fresh, "/grants/"))
    expect(page.get_by_role("heading", level=1)).to_have_text("This grant was withdrawn")
