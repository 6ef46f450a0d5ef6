"""The browser tests notice what they are there to notice."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.inspection import Inspector, violations
from tests.e2e.running_demo import RunningDemo
from tests.e2e.test_office import enter_office
from tests.e2e.visitor import Visitor

PAGE = '<!doctype html><html lang="en"><title>A page</title><main><h1>A page</h1>{}</main></html>'
FAULTY = {
    "a wide table": ('<div style="width:500px">wide</div>', "is wider than the window"),
    "a small button": ('<button style="height:20px">Buy</button>', "is .* × 20"),
    "faint text": ('<p style="color:#bbb">faint</p>', "color-contrast"),
    "faint text in the dark": (
        (
            "<style>@media (prefers-color-scheme: dark) { body { background: #111; color: #333 } }"
            "</style><p>faint</p>"
        ),
        "1280 dark: color-contrast",
    ),
    "a field without a label": ('<input style="height:50px">', "label"),
}


WORDS_TWICE_AS_LARGE = {
    "a clipped button": (
        '<button style="width:60px;height:50px;white-space:nowrap">Words of a button</button>',
        "is clipped",
    ),
    "a control in what clips it": (
        '<p style="width:5rem;overflow:hidden;white-space:nowrap"><a href="/">A long link</a></p>',
        "is clipped",
    ),
    "too wide with letters twice as large": ('<p style="width:20rem">wide</p>', "200%: p.* to 648"),
    "too wide at 320": ('<p style="width:350px">wide</p>', "320: the page is wider"),
}


@pytest.fixture
def blank(browser: Browser) -> Page:
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("fault", FAULTY)
def test_the_inspector_finds(fault: str, blank: Page):
    html, complaint = FAULTY[fault]
    blank.set_content(PAGE.format(html))
    with pytest.raises(AssertionError, match=complaint):
        Inspector(None).look(blank, fault)


@pytest.mark.parametrize("fault", WORDS_TWICE_AS_LARGE)
def test_a_look_everywhere_finds(fault: str, blank: Page):
    html, complaint = WORDS_TWICE_AS_LARGE[fault]
    blank.set_content(PAGE.format(html))
    found = "\n".join(Inspector(None).look_everywhere(blank, fault, colors=False))
    assert re.search(complaint, found), found


FAINT_IN_THE_DARK = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync('.dark a { color: #333 !important }');
  document.adoptedStyleSheets = [sheet];
}"""


def test_the_inspector_sees_the_office_in_the_dark(visitor: Visitor):
    enter_office(visitor, "/admin/")
    visitor.page.evaluate(FAINT_IN_THE_DARK)
    with pytest.raises(AssertionError, match="1280 dark: color-contrast") as complaint:
        Inspector(None).look(visitor.page, "office", taps=False)
    assert "light: color-contrast" not in str(complaint.value)


def test_the_inspector_has_nothing_against_a_plain_page(blank: Page):
    blank.set_content(PAGE.format("<p>Plain text.</p>"))
    assert violations(blank) == []
    Inspector(None).look(blank, "plain")


MISDEEDS = {
    "an inline script": (
        "document.body.append(Object.assign(document.createElement('script'), {text: 'alert(1)'}))",
        "Content Security",
    ),
    "an inline style": ("document.body.setAttribute('style', 'color: red')", "Content Security"),
    "a script error": ("setTimeout(() => { throw new Error('oh') })", "script error: .*oh"),
    "another host": (
        "fetch('http://127.0.0.1:9/').catch(() => {})",
        "somewhere else|Content Security",
    ),
    "a missing file": ("fetch('/static/missing.js')", "answered 404"),
}


@pytest.mark.parametrize("misdeed", MISDEEDS)
def test_a_visitor_hears_of(misdeed: str, browser: Browser, demo: RunningDemo):
    script, complaint = MISDEEDS[misdeed]
    visitor = Visitor(browser, base_url=demo.url, origins=[demo.url])
    visitor.page.goto("/help/")
    with visitor.context.expect_event(EVENTS.get(misdeed, "console")):
        visitor.page.evaluate(f"() => {{ {script} }}")
    expect(visitor.page.get_by_role("heading", level=1)).to_be_visible()
    assert re.search(complaint, "\n".join(visitor.leave()))


EVENTS = {"a script error": "weberror"}
