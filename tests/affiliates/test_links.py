"""Every course on sale has a link, and no link leads anywhere but into our own catalogue, whatever
it holds.
"""

from urllib.parse import quote

import pytest
from django.conf import settings as django_settings
from django.test import Client

from affiliates import attribution, memberships
from affiliates.models import Affiliate, ReferralDay, ReferralVisit
from affiliates.pages import links
from courses.publishing import archive
from tests.affiliates.history import BROWSER, signed_in
from tests.affiliates.make import make_affiliate
from tests.factories import make_course
from tests.statements import statements

pytestmark = pytest.mark.any_engine

LINKS = "/affiliates/links/"
COOKIE = django_settings.REFERRAL_COOKIE_NAME


def path_of(url: str) -> str:
    assert url.startswith(django_settings.SITE_URL)
    return url.removeprefix(django_settings.SITE_URL)


def visitor(address: str = "10.9.8.7", **headers: str) -> Client:
    return Client(headers={**BROWSER, **headers}, REMOTE_ADDR=address)


def counted() -> tuple[int, int]:
    return ReferralVisit.objects.count(), ReferralDay.objects.count()


# --- the builder ----------------------------------------------------------------------------------
def test_every_course_on_sale_has_its_link_and_what_it_earns():
    affiliate = make_affiliate(rate=1250)
    course, free, gone = make_course(price=19999), make_course(price=0), make_course()
    archive(gone)
    page = signed_in(affiliate).get(LINKS)
    shown = {
        link["course"].slug: (link["url"], str(link["earns"])) for link in page.context["links"]
    }
    assert shown == {
        course.slug: (affiliate.link_to(course.slug), "$25.00"),
        free.slug: (affiliate.link_to(free.slug), ""),
    }
    html = page.content.decode()
    assert f'value="{affiliate.link}" readonly' in html
    assert f'value="{affiliate.link_to(course.slug)}" readonly' in html
    assert "12.5 %" in html
    assert "Free, so a sale earns nothing" in html


def test_each_link_that_is_shown_leads_to_its_course():
    affiliate, course = make_affiliate(), make_course()
    (link,) = links.build(affiliate).rows
    answer = visitor().get(path_of(link["url"]))
    assert answer.headers["Location"] == course.get_absolute_url()
    assert visitor().get(path_of(affiliate.link)).headers["Location"] == "/"


@pytest.mark.every_engine
def test_links_are_searched_and_come_in_pages():
    affiliate = make_affiliate()
    for number in range(23):
        make_course(title=f"Welding part {number}")
    make_course(title="Baking")
    partner = signed_in(affiliate)
    first = partner.get(LINKS, {"q": "  WELDING "})
    second = partner.get(f"{LINKS}{first.context['next_url']}")
    titles = [link["course"].title for page in (first, second) for link in page.context["links"]]
    assert sorted(titles) == sorted(f"Welding part {number}" for number in range(23))
    assert "More courses" in first.content.decode()
    assert "More courses" not in second.content.decode()
    assert "q=WELDING" in second.context["first_url"]
    nothing = partner.get(LINKS, {"q": "<script>alert(1)</script>"}).content.decode()
    assert "<script>alert" not in nothing
    assert "No course on sale contains all the words" in nothing


@pytest.mark.every_engine
def test_the_builder_takes_two_statements_however_many_courses_there_are():
    affiliate = make_affiliate()
    for _ in range(5):
        make_course()
    partner = signed_in(affiliate)
    partner.get(LINKS)
    with statements() as found:
        partner.get(LINKS)
    # session and user; no balance, so balance and affiliate apart; courses
    assert len(found) == 2 + 3


def test_the_copy_button_is_for_the_script_to_show():
    html = signed_in(make_affiliate()).get(LINKS).content.decode()
    button = '<button type="button" class="quiet" data-copy="link"'
    words = 'data-done="Copied" data-failed="Press Ctrl+C"'
    assert f"{button} {words} hidden>" in html
    assert "js/copy.js" in html


# --- following a link -----------------------------------------------------------------------------
def test_a_followed_link_is_counted_once_a_day_and_remembered():
    affiliate, course = make_affiliate(), make_course()
    client = visitor()
    for _ in range(3):
        answer = client.get(f"/r/{affiliate.code}/{course.slug}/")
        assert (answer.status_code, answer.headers["Location"]) == (302, f"/courses/{course.slug}/")
        assert answer.headers["Cache-Control"] == "private, no-store"
        assert affiliate.code in answer.cookies[COOKIE].value
    day = ReferralDay.objects.get()
    assert (day.affiliate_id, day.course_slug, day.visits, day.checkouts) == (
        affiliate.pk,
        course.slug,
        1,
        0,
    )
    assert ReferralVisit.objects.count() == 1


@pytest.mark.parametrize(
    "query",
    [
        "next=//evil.example",
        "next=https://evil.example/",
        "url=//evil.example",
        "redirect=https://evil.example",
        "next=%5C%5Cevil.example",
        "ref=//evil.example",
    ],
)
def test_no_parameter_of_a_link_leads_away(query: str):
    affiliate, course = make_affiliate(), make_course()
    for path, goal in (
        (f"/r/{affiliate.code}/", "/"),
        (f"/r/{affiliate.code}/{course.slug}/", f"/courses/{course.slug}/"),
    ):
        answer = visitor().get(f"{path}?{query}")
        assert (answer.status_code, answer.headers["Location"]) == (302, goal)


@pytest.mark.parametrize(
    "slug",
    [
        "//evil.example",
        "/evil.example",
        "https://evil.example",
        "https:%2F%2Fevil.example",
        "%2F%2Fevil.example",
        "%5C%5Cevil.example",
        "@evil.example",
        "..%2F..%2Fadmin",
        "%0d%0aLocation:%20https://evil.example",
        "javascript:alert(1)",
    ],
)
def test_no_path_of_a_link_leads_away(slug: str):
    affiliate = make_affiliate()
    answer = visitor().get(f"/r/{affiliate.code}/{slug}/")
    assert answer.status_code in {302, 400, 404}
    assert answer.headers.get("Location", "/") == "/"


@pytest.mark.parametrize(
    "code",
    [
        "nobody22",
        "x" * 10_240,
        "%3Cscript%3Ealert(1)",
        "%00",
        "%ff%fe%fd",
        "%ED%A0%80",
        "%E2%80%AEabc",
        "ⓐⓑⓒ",
        "%0d%0a",
        "'%20OR%201=1--",
        "$ne",
        "%7B%22$gt%22:%22%22%7D",
        "%20",
        "@" * 100,
        "a%00b@example.com",
        "%F0%9F%92%A9",
    ],
)
def test_an_unknown_or_hostile_code_is_no_harm(code: str):
    course = make_course()
    for path, goal in (
        (f"/r/{code}/", "/"),
        (f"/r/{code}/{course.slug}/", course.get_absolute_url()),
    ):
        answer = visitor().get(path)
        if "%00" in code:
            assert answer.status_code == 400
        else:
            assert (answer.status_code, answer.headers["Location"]) == (302, goal)
        assert COOKIE not in answer.cookies
    assert counted() == (0, 0)


@pytest.mark.parametrize(
    "slug", ["no-such-course", "x" * 10_240, "%3Cscript%3E", "%ff", "ⓐ", "%00", "a" * 141]
)
def test_an_unknown_course_leads_to_the_catalogue_and_counts_there(slug: str):
    affiliate = make_affiliate()
    answer = visitor().get(f"/r/{affiliate.code}/{slug}/")
    if slug == "%00":
        assert answer.status_code == 400
        assert counted() == (0, 0)
    else:
        assert (answer.status_code, answer.headers["Location"]) == (302, "/")
        assert list(ReferralDay.objects.values_list("course_slug", "visits")) == [("", 1)]


@pytest.mark.parametrize("written", [")", ").", "%E2%80%9D", ",", "UPPER"])
def test_a_course_is_found_by_what_became_of_its_link_in_a_text(written: str):
    """Fault S4."""
    affiliate, course = make_affiliate(), make_course()
    slug = course.slug.upper() if written == "UPPER" else course.slug + written
    location = visitor().get(f"/r/{affiliate.code}/{slug}/").headers["Location"]
    assert location == course.get_absolute_url()
    assert list(ReferralDay.objects.values_list("course_slug", "visits")) == [(course.slug, 1)]


def test_a_course_off_sale_leads_to_the_catalogue():
    affiliate, course = make_affiliate(), make_course()
    archive(course)
    assert visitor().get(f"/r/{affiliate.code}/{course.slug}/").headers["Location"] == "/"


@pytest.mark.parametrize(
    "headers",
    [
        {"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"},
        {"User-Agent": "facebookexternalhit/1.1 (preview)"},
        {"User-Agent": "curl/8.5.0"},
        {"User-Agent": ""},
        {"Sec-Purpose": "prefetch;prerender"},
        {"Purpose": "prefetch"},
        {"X-Moz": "prefetch"},
        {"X-Purpose": "preview"},
    ],
)
def test_robots_and_prefetches_are_led_on_and_not_counted(headers: dict[str, str]):
    affiliate, course = make_affiliate(), make_course()
    answer = visitor(**headers).get(f"/r/{affiliate.code}/{course.slug}/")
    assert (answer.status_code, answer.headers["Location"]) == (302, course.get_absolute_url())
    assert COOKIE not in answer.cookies
    assert counted() == (0, 0)


def test_a_look_at_the_headers_is_not_counted():
    affiliate = make_affiliate()
    assert visitor().head(f"/r/{affiliate.code}/").status_code == 302
    assert visitor().post(f"/r/{affiliate.code}/").status_code == 405
    assert counted() == (0, 0)


@pytest.mark.parametrize("move", [memberships.suspend, memberships.close])
def test_the_link_of_a_partner_who_is_not_active_still_leads_on_and_counts_nothing(move):
    affiliate, course = make_affiliate(), make_course()
    assert move(affiliate, by="staff@example.com", reason="for the test")
    answer = visitor().get(f"/r/{affiliate.code}/{course.slug}/")
    assert answer.headers["Location"] == course.get_absolute_url()
    assert COOKIE not in answer.cookies
    assert counted() == (0, 0)


def test_an_old_link_with_an_address_still_works():
    affiliate = make_affiliate("ada.partner@example.com")
    answer = visitor().get(f"/r/{quote('Ada.Partner@example.com')}/")
    assert attribution.read(answer.cookies[COOKIE].value) == affiliate.code
    assert attribution.is_hidden(answer.cookies[COOKIE].value)
    assert counted() == (1, 1)


def test_a_link_with_an_address_of_nobody_is_answered_alike_and_counts_for_nobody():
    course = make_course()
    for path, goal in (
        ("/r/nobody@example.com/", "/"),
        (f"/r/nobody@example.com/{course.slug}/", course.get_absolute_url()),
    ):
        answer = visitor().get(path)
        assert (answer.status_code, answer.headers["Location"]) == (302, goal)
        assert attribution.read(answer.cookies[COOKIE].value) == ""
        assert attribution.is_hidden(answer.cookies[COOKIE].value)
    assert counted() == (0, 0)


def test_a_code_works_in_any_case():
    affiliate = make_affiliate()
    assert (
        visitor()
        .get(f"/r/{affiliate.code.upper()}/")
        .cookies[COOKIE]
        .value.startswith(affiliate.code)
    )
    assert Affiliate.objects.count() == 1
