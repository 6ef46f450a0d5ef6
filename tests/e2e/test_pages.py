"""What the shop's pages say when something is missing, too much or broken, and how heavy they are.

How they look is in test_site_map.
"""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Response, expect

from tests.e2e.running_demo import BrokenShop
from tests.e2e.shopping import fill_checkout, new_email
from tests.e2e.visitor import PHONE, Visitor

HEAVIEST_CATALOGUE = 150_000
HEAVIEST_SCRIPTS = 3_000  # before the page is there
COURSE = "/courses/machine-learning-in-production/"


def test_the_last_page_of_the_catalogue(visitor: Visitor):
    visitor.page.goto("/")
    visitor.page.get_by_role("link", name="More courses").click()
    expect(visitor.page.get_by_role("article")).to_have_count(2)


def test_an_empty_checkout_form_says_what_is_missing(visitor: Visitor):
    page = visitor.page
    visitor.expect_statuses(400)
    page.goto("/checkout/ux-writing/")
    page.get_by_role("button", name="Continue to payment").click()
    expect(page.get_by_role("alert").get_by_role("link")).to_have_count(2)
    page.get_by_role("alert").get_by_role("link").first.click()
    expect(page.get_by_label("E-mail address of the learner")).to_be_focused()


def test_a_form_from_elsewhere_is_refused(visitor: Visitor):
    page = visitor.page
    visitor.expect_statuses(403)
    page.goto("/checkout/ux-writing/")
    page.locator("[name=csrfmiddlewaretoken]").evaluate("element => element.remove()")
    fill_checkout(page, new_email())
    page.get_by_role("button", name="Continue to payment").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You cannot open this page")


def test_too_many_attempts_are_told_when_to_come_back(visitor: Visitor):
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


BROKEN = {
    "500": ("/broken/", "Something went wrong on our side"),
    "503": ("/courses/ux-writing/", "The shop is temporarily unavailable"),
}


@pytest.mark.parametrize("status", BROKEN)
def test_our_own_failures_are_told_in_our_look(
    status: str, visit: Callable[..., Visitor], broken_shop: BrokenShop
):
    path, title = BROKEN[status]
    visitor = visit(origins=[broken_shop.url])
    visitor.expect_statuses(int(status))
    visitor.page.goto(broken_shop.url + path)
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(title)
    expect(visitor.page.get_by_role("link", name="Try again")).to_have_count(int(status == "503"))


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


SCRIPTS_BEFORE_LOAD = """() => {
  const [{loadEventStart}] = performance.getEntriesByType('navigation');
  return performance.getEntriesByType('resource')
    .filter(each => each.initiatorType === 'script' && each.startTime < loadEventStart)
    .map(each => each.decodedBodySize);
}"""


def test_the_checkout_is_shown_before_its_large_script_is_loaded(visitor: Visitor):
    page = visitor.page
    with page.expect_response("**/htmx.min*.js"):
        page.goto("/checkout/ux-writing/")
    assert 0 < sum(page.evaluate(SCRIPTS_BEFORE_LOAD)) < HEAVIEST_SCRIPTS


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
    page.goto(COURSE)
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
