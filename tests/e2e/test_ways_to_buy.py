"""The same purchase by keyboard alone, without JavaScript, and with a thumb on a small screen."""

import re
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from tests.e2e.inspection import sticking_out
from tests.e2e.shopping import PAYS, buy, expect_state, fill_checkout, new_email, status
from tests.e2e.visitor import PHONE, Visitor
from tests.sandbox_client import Sandbox, wait_until

MOST_TABS = 80
FOCUS_IS_VISIBLE = """element => [element, element.closest('.card')].some(
  each => each && getComputedStyle(each).outlineStyle !== 'none'
    && parseFloat(getComputedStyle(each).outlineWidth) >= 2)"""


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until the target has the focus, and see that one can see it."""
    expect(target).to_be_visible()
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            assert target.evaluate(FOCUS_IS_VISIBLE), f"one cannot see that {target} has the focus"
            return
    raise AssertionError(f"{target} cannot be reached with the Tab key")


def test_by_keyboard_alone(visitor: Visitor, sandbox: Sandbox):
    page, email = visitor.page, new_email()
    page.goto("/")
    tab_to(page, page.get_by_role("link", name="Skip to the content"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_label("Search courses"))
    page.keyboard.type("inclusion")
    page.keyboard.press("Enter")
    expect(page.get_by_role("article")).to_have_count(1)
    tab_to(page, page.get_by_role("article").get_by_role("link"))
    page.keyboard.press("Enter")
    tab_to(
        page, page.get_by_label("Price and facts").get_by_role("link", name="Enroll in this course")
    )
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_label("E-mail address of the learner"))
    page.keyboard.type(email)
    tab_to(page, page.get_by_label("I accept the terms"))
    page.keyboard.press("Space")
    tab_to(page, page.get_by_role("button", name="Continue to payment"))
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/pay/"))
    tab_to(page, page.get_by_label("Card number"))
    page.keyboard.press("Control+A")
    page.keyboard.type(PAYS)
    tab_to(page, page.locator("#pay"))
    page.keyboard.press("Enter")
    expect_state(page, "ready")
    tab_to(page, page.get_by_role("link", name="Go to your course"))
    assert len(sandbox.enrollments(email)) == 1


def test_without_javascript(visit: Callable[..., Visitor], sandbox: Sandbox):
    page, email = visit(java_script_enabled=False).page, new_email()
    page.goto("/")
    page.get_by_label("Search courses").fill("ux writing")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("article").get_by_role("link").first.click()
    page.get_by_label("Price and facts").get_by_role("link", name="Enroll in this course").click()
    fill_checkout(page, email)
    page.get_by_role("button", name="Continue to payment").click()
    page.get_by_label("Card number").fill(PAYS)
    sandbox.fault("lms", "slow", "POST /api/resource/LMS Enrollment", seconds=2, times=1)
    page.locator("#pay").click()
    expect_state(page, "paid_setting_up")
    wait_until(lambda: sandbox.mails(email))
    page.get_by_role("link", name="Reload").click()
    expect_state(page, "ready")
    page.get_by_role("link", name="Go to your course").click()
    expect(page.get_by_label("Is this learner enrolled?")).to_be_visible()
    assert len(sandbox.enrollments(email)) == 1


def test_without_javascript_the_page_reloads_until_the_course_is_ready(
    visit: Callable[..., Visitor], sandbox: Sandbox
):
    page, email = visit(java_script_enabled=False).page, new_email()
    sandbox.fault("lms", "slow", "POST /api/resource/LMS Enrollment", seconds=2, times=1)
    buy(page, "supporting-people-with-dementia", email)
    expect_state(page, "paid_setting_up")
    expect_state(page, "ready", within=15)


def test_with_a_thumb_on_a_phone(visit: Callable[..., Visitor], sandbox: Sandbox):
    page, email = (
        visit(viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=2).page,
        new_email(),
    )
    page.goto("/")
    assert sticking_out(page) == []
    page.get_by_role("link", name=re.compile("^Creative")).tap()
    page.get_by_role("link", name="Documentary photography").tap()
    expect(page.get_by_role("heading", level=1)).to_have_text(
        re.compile("Documentary photography", re.IGNORECASE)
    )
    assert sticking_out(page) == []
    bar = page.locator(".buy-bar")
    expect(bar).to_be_in_viewport()
    bar.get_by_role("link", name="Enroll").tap()
    expect(page.get_by_role("heading", level=1)).to_have_text("Checkout")
    assert sticking_out(page) == []
    fill_checkout(page, email)
    page.get_by_role("button", name="Continue to payment").tap()
    expect(page).to_have_url(re.compile("/pay/"))
    assert sticking_out(page) == []
    page.locator("#pay").tap()
    expect_state(page, "ready")
    assert sticking_out(page) == []
    expect(status(page).get_by_role("link", name="Go to your course")).to_be_in_viewport()
    assert page.evaluate("visualViewport.scale") == 1
    assert len(sandbox.enrollments(email)) == 1
