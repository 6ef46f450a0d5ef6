"""Every page of the shop looked over: accessible in light and dark, wide and on a phone, and light
in weight.
"""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Response, expect

from tests.e2e.inspection import Inspector
from tests.e2e.running_demo import BrokenShop
from tests.e2e.shopping import fill_checkout, new_email
from tests.e2e.visitor import NARROWEST, PHONE, Visitor

HEAVIEST_CATALOGUE = 150_000
PAGES = {
    "catalogue": "/",
    "catalogue-search": "/?q=finance&category=business&level=intermediate",
    "catalogue-nothing-found": "/?q=astrology",
    "course": "/courses/machine-learning-in-production/",
    "course-free": "/courses/information-security-for-everyone/",
    "checkout": "/checkout/machine-learning-in-production/",
    "checkout-free": "/checkout/information-security-for-everyone/",
    "help": "/help/",
    "status": "/status/",
    "terms": "/terms/",
    "privacy": "/privacy/",
    "sign-in": "/accounts/login/",
    "sign-up": "/accounts/signup/",
    "password-reset": "/accounts/password/reset/",
}
MISSING = {
    "404": "/nothing-here/",
    "404-course": "/courses/underwater-basketry/",
    "404-enrollment": "/enrollments/nobody-has-this-token/",
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_in_order(name: str, visitor: Visitor, inspector: Inspector):
    visitor.page.goto(PAGES[name])
    inspector.look(visitor.page, name)
    visitor.page.set_viewport_size(NARROWEST)
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_page_says_so(name: str, visitor: Visitor, inspector: Inspector):
    visitor.expect_statuses(404)
    visitor.page.goto(MISSING[name])
    inspector.look(visitor.page, name)


def test_the_last_page_of_the_catalogue(visitor: Visitor, inspector: Inspector):
    visitor.page.goto("/")
    visitor.page.get_by_role("link", name="More courses").click()
    expect(visitor.page.get_by_role("article")).to_have_count(2)
    inspector.look(visitor.page, "catalogue-last-page")


def test_an_empty_checkout_form_says_what_is_missing(visitor: Visitor, inspector: Inspector):
    page = visitor.page
    visitor.expect_statuses(400)
    page.goto("/checkout/ux-writing/")
    page.get_by_role("button", name="Continue to payment").click()
    expect(page.get_by_role("alert").get_by_role("link")).to_have_count(2)
    page.get_by_role("alert").get_by_role("link").first.click()
    expect(page.get_by_label("E-mail address of the learner")).to_be_focused()
    inspector.look(page, "checkout-incomplete")


def test_a_form_from_elsewhere_is_refused(visitor: Visitor, inspector: Inspector):
    page = visitor.page
    visitor.expect_statuses(403)
    page.goto("/checkout/ux-writing/")
    page.locator("[name=csrfmiddlewaretoken]").evaluate("element => element.remove()")
    fill_checkout(page, new_email())
    page.get_by_role("button", name="Continue to payment").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You cannot open this page")
    inspector.look(page, "403")


def test_too_many_attempts_are_told_when_to_come_back(visitor: Visitor, inspector: Inspector):
    page = visitor.page
    visitor.expect_statuses(429)
    page.goto("/accounts/password/reset/")
    for _ in range(10):
        form = {
            "csrfmiddlewaretoken": page.locator("[name=csrfmiddlewaretoken]").first.input_value(),
            "email": "no address",
        }
        assert (
            page.request.post(
                "/accounts/password/reset/", form=form, headers={"Referer": page.url}
            ).status
            == 200
        )
    page.get_by_label("E-mail").fill(new_email())
    with page.expect_response("**/accounts/password/reset/") as answer:
        page.get_by_role("button", name="Send the code").click()
    assert 0 < int(answer.value.headers["retry-after"]) <= 15 * 60
    expect(page.get_by_role("heading", level=1)).to_have_text("A little slower, please")
    inspector.look(page, "429")


BROKEN = {
    "500": ("/broken/", "That did not work"),
    "503": ("/courses/ux-writing/", "We are not able to answer just now"),
}


@pytest.mark.parametrize("status", BROKEN)
def test_our_own_failures_are_told_in_our_look(
    status: str, visit: Callable[..., Visitor], broken_shop: BrokenShop, inspector: Inspector
):
    path, title = BROKEN[status]
    visitor = visit(origins=[broken_shop.url])
    visitor.expect_statuses(int(status))
    visitor.page.goto(broken_shop.url + path)
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(title)
    expect(visitor.page.get_by_role("link", name="Try again")).to_have_count(int(status == "503"))
    inspector.look(visitor.page, status)


def weigh(page: Page, path: str) -> dict[str, int]:
    """Open a page and return how many bytes it consists of, uncompressed, by kind of file."""
    responses: list[Response] = []
    page.on("response", lambda response: responses.append(response))
    page.goto(path, wait_until="networkidle")
    weights: dict[str, int] = {}
    for response in responses:
        kind = response.request.resource_type
        weights[kind] = weights.get(kind, 0) + len(response.body())
    return weights


def test_the_catalogue_is_light(visitor: Visitor):
    weights = weigh(visitor.page, "/")
    assert "script" not in weights
    assert sum(weight for kind, weight in weights.items() if kind != "image") < HEAVIEST_CATALOGUE


HIDDEN_BY_THE_BAR = """() => {
  const focused = document.activeElement, bar = document.querySelector('.buy-bar');
  return !bar.contains(focused)
    && focused.getBoundingClientRect().bottom > bar.getBoundingClientRect().top
    && focused.textContent.trim();
}"""


def test_nothing_that_has_the_focus_is_hidden_by_the_bar_of_a_course(visitor: Visitor):
    """WCAG 2.2, 2.4.11."""
    page = visitor.page
    page.set_viewport_size(PHONE)
    page.goto(PAGES["course"])
    page.wait_for_load_state("load")
    seen = []
    in_bar, last = page.locator(".buy-bar :focus"), page.locator("footer a").last
    bar_reached = False
    while not last.evaluate("link => link === document.activeElement"):
        page.keyboard.press("Tab")
        seen.append(page.evaluate(HIDDEN_BY_THE_BAR))
        bar_reached = bar_reached or in_bar.count() == 1
        assert len(seen) < 100
    assert bar_reached
    assert len(seen) > 25
    assert [hidden for hidden in seen if hidden] == []


def test_the_chosen_subject_is_in_sight_on_a_phone(visitor: Visitor):
    visitor.page.set_viewport_size(PHONE)
    visitor.page.goto("/")
    for name in visitor.page.locator(".subjects a").evaluate_all(
        "links => links.map(link => link.getAttribute('href'))"
    ):
        visitor.page.goto(name)
        box = visitor.page.locator(".subjects [aria-current]").bounding_box()
        assert 0 <= box["x"] < box["x"] + box["width"] <= PHONE["width"], name


def test_the_menu_leads_everywhere(visitor: Visitor):
    page = visitor.page
    page.goto("/help/")
    links = page.locator("header a, footer nav a").evaluate_all(
        "links => [...new Set(links.map(link => link.getAttribute('href')))]"
    )
    assert len(links) >= 5
    for link in [link for link in links if not re.match("#", link)]:
        assert page.goto(link).status == 200, link
