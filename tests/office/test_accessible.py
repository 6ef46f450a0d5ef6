"""Each list of the office and the page of a row of it, looked over by axe-core in light and dark,
on a laptop and on a phone.

The pages are made here, and put one after another into the frame of the first: what surrounds them
is the same on all, and is looked at once.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.contrib.staticfiles import finders
from django.db.models import Model
from django.test import Client
from playwright.sync_api import Page, Route, sync_playwright

from courses.profiles import InstructorProfile
from grants.models import MessageTemplate, Program
from lms_sync.models import DeadLetter
from tests.e2e.conftest import BROWSER_FLAGS, program
from tests.e2e.inspection import CONTRAST, show_in, sticking_out, violations
from tests.e2e.visitor import DESKTOP, PHONE
from tests.office.test_decisions import MAKE
from tests.office.test_lists import staff  # noqa: F401
from tests.sandbox_client import Sandbox

HOST = "http://office.example"
SHOW = """async html => {
  const made = new DOMParser().parseFromString(html, 'text/html');
  const content = document.importNode(made.querySelector('#content').parentElement, true);
  document.querySelector('#page').replaceChildren(content);
  await new Promise(requestAnimationFrame);
}"""


def pages(client: Client) -> Iterator[tuple[str, str]]:
    """Yield the address and the text of the first page, each list, and one row of it."""
    MAKE[DeadLetter]()  # with its job
    Group.objects.create(name="support")
    Program.objects.create(name="Spring")
    MessageTemplate.objects.create(name="Yes", used_for="approval", text="Dear {name}")
    InstructorProfile.objects.create(name="Ada", biography="Analyst.")
    for address in ("/admin/", "/admin/reports/?period=weekly"):
        yield address, _open(client, address).content.decode()
    for model in admin.site._registry:
        address = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        shown = _open(client, address)
        if model in MAKE and not _rows(shown):
            MAKE[model]()
            shown = _open(client, address)
        yield address, shown.content.decode()
        for row in _rows(shown)[:1]:
            of_row = f"{address}{row.pk}/change/"
            yield of_row, _open(client, of_row).content.decode()


def _open(client: Client, address: str) -> Any:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return answer


def _rows(shown: Any) -> list[Model]:
    """Return the rows of a list; a page of another kind has none."""
    page = shown.context.get("cl")
    return list(page.result_list) if page else []


def look(found: list[tuple[str, str]]) -> list[str]:
    """Return what is wrong with these pages, in light and in dark."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=BROWSER_FLAGS)
        page = browser.new_page()
        page.route(f"{HOST}/**", lambda route: answer(route, found[0][1]))
        page.goto(f"{HOST}/admin/")
        wrong = [each for address, html in found for each in _look(page, address, html)]
        browser.close()
    return wrong


def answer(route: Route, first: str) -> None:
    path = urlsplit(route.request.url).path
    if path == "/admin/":
        route.fulfill(body=first, content_type="text/html")
    elif path.startswith("/static/"):
        route.fulfill(path=finders.find(path.removeprefix("/static/")))
    else:
        route.fulfill(status=404)


def _look(page: Page, address: str, html: str) -> Iterator[str]:
    if address != "/admin/":
        page.evaluate(SHOW, html)
    for width, scheme in ((DESKTOP, "light"), (PHONE, "dark")):
        page.set_viewport_size(width)
        show_in(page, scheme)
        found = violations(page, rules=CONTRAST if scheme == "dark" else None) + sticking_out(page)
        yield from (f"{address}, {scheme}: {each}" for each in found)


@pytest.mark.breaks_invariants
@pytest.mark.any_engine
def test_every_list_and_the_page_of_a_row_pass_axe(
    db: None,
    sandbox: Sandbox,
    staff: Client,  # noqa: F811
) -> None:
    with ThreadPoolExecutor(1) as elsewhere:  # the browser's driver has a loop of its own
        wrong = elsewhere.submit(look, list(pages(staff))).result()
    assert not wrong, "\n".join(wrong)
