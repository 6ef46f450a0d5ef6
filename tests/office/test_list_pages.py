"""Pages of a list: each is found by the last row of the one before, and none by counting rows."""

import re
from datetime import UTC, datetime
from html import unescape
from itertools import pairwise
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client

from accounts.models import LearnerNote
from tests.affiliates.make import make_staff
from tests.statements import statements

pytestmark = [pytest.mark.django_db]

NOTES = "/admin/accounts/learnernote/"
# Two of each moment, so that a page may end between two of them.
MOMENTS = [datetime(2026, 11, 1 + number // 2, tzinfo=UTC) for number in range(9)]


@pytest.fixture
def boss(db: None, monkeypatch: Any) -> Client:
    monkeypatch.setattr(admin.site._registry[LearnerNote], "list_per_page", 2)
    LearnerNote.objects.bulk_create(
        LearnerNote(email=f"{number % 3}@example.com", text="Called.", created_at=at)
        for number, at in enumerate(MOMENTS)
    )
    client = Client()
    client.force_login(make_staff(email="boss@example.com"))
    return client


def page_of(client: Client, query: str) -> tuple[list[Any], dict[str, str], str]:
    """Return the rows of a page, where its links lead, and what it calls itself."""
    answer = client.get(f"{NOTES}{query}")
    assert answer.status_code == 200, query
    (nav,) = re.findall(
        r'<nav[^>]*aria-label="Pages">(.*?)</nav>', answer.content.decode(), re.DOTALL
    )
    links = {words: unescape(url) for url, words in re.findall(r'href="(.*?)".*?>(\w+)</a>', nav)}
    name = re.search(r"Page \d+", nav)
    return [row.pk for row in answer.context["cl"].result_list], links, name[0] if name else ""


@pytest.mark.every_engine
@pytest.mark.parametrize("query", ["?", "?o=0"])  # newest first, and oldest first
def test_next_leads_to_every_row_once_and_previous_back_the_same_way(
    boss: Client, query: str
) -> None:
    order = ("-created_at", "-pk") if query == "?" else ("created_at", "-pk")
    names, pages = [], []
    at: str | None = query
    while at is not None:
        rows, links, name = page_of(boss, at)
        pages.append(rows)
        names.append(name)
        at = links.get("Next")
    assert [pk for rows in pages for pk in rows] == list(
        LearnerNote.objects.order_by(*order).values_list("pk", flat=True)
    )
    assert names == [f"Page {number}" for number in range(1, 6)]
    assert links["First"].replace("?o=0", query).startswith(query)
    assert page_of(boss, links["First"])[0] == pages[0]
    for before, _ in reversed(list(pairwise(pages))):
        rows, links, name = page_of(boss, links["Previous"])
        assert rows == before
    assert name == "Page 1"
    assert set(links) == {"Next"}


def test_a_page_deep_down_skips_no_rows_and_keeps_search_view_and_file(boss: Client) -> None:
    links = page_of(boss, "?q=0@example.com")[1]
    assert "q=0%40example.com" in links["Next"]
    with statements() as asked:
        rows, _, _ = page_of(boss, links["Next"])
        answer = boss.get(f"{NOTES}{links['Next']}")
    assert len(rows) == 1
    assert [sql for sql in asked if "OFFSET" in sql] == []
    assert answer.context["new_view"] == answer.context["kept_query"] == ""


@pytest.mark.any_engine
@pytest.mark.parametrize("where", ["after", "before"])
def test_a_place_that_is_none_of_ours_leads_to_the_first_page(boss: Client, where: str) -> None:
    rows = page_of(boss, "")[0]
    answer: Any = boss.get(NOTES, {where: "WzEsMl0:made-up"}, follow=True)
    assert [row.pk for row in answer.context["cl"].result_list] == rows
