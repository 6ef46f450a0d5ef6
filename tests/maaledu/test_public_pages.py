import gzip

import pytest
from django.core.cache import caches
from django.test import Client

from maaledu import public_pages
from maaledu.db import atomic
from maaledu.public_pages import MOST_CACHED, bump_public_pages
from tests.maaledu.probe_urls import Renderings

pytestmark = pytest.mark.any_engine

PUBLIC = "public, max-age=60"


@pytest.fixture(autouse=True)
def _count_from_zero():
    Renderings.count = 0


def test_a_public_page_is_rendered_once(probe):
    first, second = probe.get("/probe/public"), probe.get("/probe/public")
    assert first.content == second.content == b"rendering 1 of "
    assert (first["Cache-Control"], second["Cache-Control"]) == (PUBLIC, PUBLIC)


def test_a_kept_page_is_compressed_for_whoever_takes_that(probe, db):
    """Requirement R199."""
    plain = probe.get("/help/")
    for accepted in ("gzip", "br;q=1.0, GZIP;q=0.5", "deflate,gzip"):
        packed = probe.get("/help/", headers={"accept-encoding": accepted})
        assert packed["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.content) == plain.content
        assert int(packed["Content-Length"]) == len(packed.content) < len(plain.content) / 2
    for accepted in ("", "br", "gzip;q=0", "identity", "x-gzip"):
        kept = probe.get("/help/", headers={"accept-encoding": accepted})
        assert (kept.content, kept.get("Content-Encoding")) == (plain.content, None)
    assert plain["Vary"] == packed["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("path", ["/accounts/login/", "/accounts/signup/"])
def test_a_page_with_a_secret_is_never_compressed(probe, db, path):
    page = probe.get(path, headers={"accept-encoding": "gzip, br"})
    assert "csrfmiddlewaretoken" in page.content.decode()
    assert not page.has_header("Content-Encoding")


def test_a_page_of_another_release_is_not_served(probe, monkeypatch):
    """Fault O4: its style sheets may be gone."""
    probe.get("/probe/public")
    monkeypatch.setattr(public_pages, "RELEASE", "0.9.9-another")
    assert probe.get("/probe/public").content == b"rendering 2 of "
    monkeypatch.undo()
    assert probe.get("/probe/public").content == b"rendering 1 of "


def test_a_kept_page_keeps_its_headers_but_not_the_request_id(probe):
    first, second = probe.get("/probe/public"), probe.get("/probe/public")
    different = {name for name in first.headers if first.headers[name] != second.headers.get(name)}
    assert different == {"X-Request-ID"}
    for name in (
        "Content-Security-Policy",
        "X-Frame-Options",
        "X-Content-Type-Options",
        "Permissions-Policy",
    ):
        assert name in second.headers


def test_a_kept_page_asks_the_database_nothing_and_sets_no_cookie(
    probe, db, django_assert_num_queries
):
    probe.get("/probe/public")
    probe.cookies["sessionid"] = "a" * 32
    with django_assert_num_queries(0):
        answer = probe.get("/probe/public")
    assert not answer.cookies
    assert answer["Vary"] == "Accept-Encoding"


def test_what_changes_what_pages_show_makes_every_page_new(probe, db):
    probe.get("/probe/public")
    probe.get("/probe/public?q=a")
    bump_public_pages()
    assert probe.get("/probe/public").content == b"rendering 3 of "
    assert probe.get("/probe/public?q=a").content == b"rendering 4 of a"


def test_a_change_that_is_rolled_back_keeps_the_pages(probe, db):
    probe.get("/probe/public")

    @atomic
    def change() -> None:
        bump_public_pages()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change()
    assert probe.get("/probe/public").content == b"rendering 1 of "


@pytest.mark.parametrize("is_warm", [True, False], ids=["warm", "cold"])
def test_a_page_rendered_while_its_subject_changed_is_not_served_again(
    probe, db, monkeypatch, is_warm
):
    """The rival runs between the look-up and the storing: the page carries the version from before
    it.
    """
    if is_warm:
        probe.get("/probe/public")
    before = Renderings.count
    pages = caches["pages"]
    stored = type(pages).set

    def rival_first(self, key, value, *args, **kwargs):
        if isinstance(value, tuple):
            monkeypatch.setattr(type(pages), "set", stored)
            bump_public_pages()
        return stored(self, key, value, *args, **kwargs)

    monkeypatch.setattr(type(pages), "set", rival_first)
    assert probe.get("/probe/public?q=b").content == b"rendering %d of b" % (before + 1)
    assert probe.get("/probe/public?q=b").content == b"rendering %d of b" % (before + 2)
    assert probe.get("/probe/public?q=b").content == b"rendering %d of b" % (before + 2)


def test_the_order_of_parameters_makes_no_second_page(probe):
    assert (
        probe.get("/probe/public?q=a&level=b").content
        == probe.get("/probe/public?level=b&q=a").content
    )


@pytest.mark.parametrize(
    "query",
    ["utm_source=x", "q=a&q=b", "q=" + "a" * 500, "q=a&csrfmiddlewaretoken=x"],
    ids=["unknown", "twice", "long", "mixed"],
)
def test_an_address_that_is_not_worth_keeping_is_not_kept(probe, query):
    contents = {probe.get(f"/probe/public?{query}").content for _ in range(2)}
    assert len(contents) == 2


def test_every_host_and_scheme_has_pages_of_its_own(probe, settings):
    settings.ALLOWED_HOSTS = ["one.example", "two.example"]
    contents = {
        probe.get("/probe/public", headers={"host": "one.example"}).content,
        probe.get("/probe/public", headers={"host": "two.example"}).content,
        probe.get("/probe/public", headers={"host": "two.example"}, secure=True).content,
    }
    assert len(contents) == 3


def test_a_foreign_host_is_refused_although_the_page_is_kept(probe, settings):
    settings.ALLOWED_HOSTS = ["testserver"]
    probe.get("/probe/public")
    assert probe.get("/probe/public", headers={"host": "evil.example"}).status_code == 400


def test_a_part_of_a_page_for_htmx_is_neither_kept_nor_answered_with_the_page(probe):
    probe.get("/probe/public")
    assert probe.get("/probe/public", headers={"hx-request": "true"}).content == b"rendering 2 of "
    assert probe.get("/probe/public").content == b"rendering 1 of "


def test_head_is_answered_from_the_kept_page(probe):
    whole = probe.get("/probe/public")
    head = probe.head("/probe/public")
    assert (head.status_code, head.content, head["Cache-Control"]) == (200, b"", PUBLIC)
    assert head["Content-Length"] == whole["Content-Length"]
    assert Renderings.count == 1


def test_a_post_is_never_answered_with_a_page(probe):
    probe.get("/probe/public")
    answer = probe.post("/probe/public")
    assert answer["Cache-Control"] == "no-store"
    assert answer.content == b"rendering 2 of "


def test_a_page_that_turns_out_to_depend_on_its_visitor_is_not_kept(probe, db, django_user_model):
    """A mistake in a view must not show one visitor's page to another."""
    visitor = Client()
    visitor.force_login(
        django_user_model.objects.create_user("visitor@example.com", "long enough 1")
    )
    visitor.get("/probe/not-so-public")
    assert probe.get("/probe/not-so-public").content == b"Who are you?"


def test_what_a_process_has_cached_is_bounded_and_forgotten_on_change(
    probe, db, settings, django_assert_num_queries
):
    settings.PUBLIC_PAGE_RECHECK = settings.PUBLIC_PAGE_LIFETIME
    for number in range(MOST_CACHED + 5):
        probe.get(f"/probe/public?q={number}")
        probe.get(f"/probe/public?q={number}")
    assert Renderings.count == MOST_CACHED + 5
    caches["pages"].clear()
    probe.get(f"/probe/public?q={MOST_CACHED + 4}")
    assert Renderings.count == MOST_CACHED + 5
    bump_public_pages()
    probe.get(f"/probe/public?q={MOST_CACHED + 4}")
    assert Renderings.count == MOST_CACHED + 6


@pytest.mark.parametrize("path", ["/account/", "/accounts/login/", "/health/live", "/nowhere"])
def test_everything_else_is_never_stored_anywhere(probe, path, db):
    assert "no-store" in probe.get(path)["Cache-Control"]
