"""Every page of the shop, wide and narrow, in light and in dark, from left to right and from right
to left, and with letters twice as large: nothing sticks out, no control is clipped, each can be
tapped, and axe-core has nothing against it.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.cache import caches
from playwright.sync_api import Browser
from pytest_django.fixtures import Settings

from notifications.models import Email
from notifications.outgoing import compose
from tests import pseudo
from tests.e2e.inspection import Inspector, sticking_out
from tests.e2e.site_pages import LONG, Rendered, fill, rendered, served
from tests.e2e.visitor import PHONE, Visitor
from tests.requirements.test_translation import FULL, WRITTEN, kinds_of_mail

pytestmark = pytest.mark.engines("sqlite")


@pytest.fixture(scope="session", autouse=True)
def _database_beside_playwright() -> Iterator[None]:
    """Its loop runs in this thread all the time, and Django would take every query for a part of
    it.
    """
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    yield
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def pages(db: None, settings: Settings, tmp_path: Path) -> dict[str, dict[str, Rendered]]:
    """Return every page in English, and in the language that nobody speaks."""
    settings.STRIPE_MAX_RETRIES = 0
    known, states = fill()
    english = rendered(known, states)
    for cache in caches.all():  # a shop has one language, and keeps its public pages in it
        cache.clear()
    settings.LANGUAGE_CODE, settings.LOCALE_PATHS = pseudo.LANGUAGE, [pseudo.make(tmp_path)]
    return {"ltr": english, "rtl": rendered(known, states)}


def test_every_page_is_in_order(
    still_browser: Browser, pages: dict[str, dict[str, Rendered]], inspector: Inspector
) -> None:
    wrong = []
    for direction, each in pages.items():
        with served(list(each.values())) as url:
            visitor = Visitor(still_browser, base_url=url, origins=[url])
            for number, name in enumerate(each):
                visitor.page.goto(f"/{number}")
                if visitor.page.evaluate("document.dir") != direction:
                    wrong.append(f"{name} is not {direction}")
                named = f"{direction}-{name.replace('/', '_')}"
                found = inspector.look_everywhere(visitor.page, named, colors=direction == "ltr")
                wrong += [f"{direction} {name}, {problem}" for problem in found]
            wrong += visitor.leave()
    assert wrong == [], "\n".join(wrong)
    assert len(pages["ltr"]) > 90
    assert pages["ltr"].keys() == pages["rtl"].keys()


def test_no_mail_is_wider_than_a_phone(still_browser: Browser) -> None:
    """Fault S1: a word of a title that is longer than the line."""
    long = {name: LONG if text == WRITTEN else text for name, text in FULL.items()}
    visitor = Visitor(still_browser, base_url="", origins=[], viewport=PHONE)
    wrong: dict[str, list[str]] = {}
    for kind in kinds_of_mail():
        mail = compose(Email(kind=kind, to="a@example.com", context=long))
        visitor.page.set_content(mail.alternatives[0].content)
        if found := sticking_out(visitor.page):
            wrong[kind] = found
    assert wrong == {}
    assert visitor.leave() == []
