"""`?ref=` on any page and `/r/`: the cookie, the cached page that stays the same, the count of
visits.
"""

import io
import logging
from datetime import timedelta
from urllib.parse import unquote

import pytest
from django.core.cache import caches
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from affiliates import attribution, memberships, visits
from affiliates.middleware import ReferralMiddleware
from affiliates.models import Affiliate, ReferralDay, ReferralVisit
from courses.models import Course
from maaledu import settings as product
from tests.affiliates.make import make_affiliate
from tests.affiliates.shop import BROWSER, is_broken, visitor, without_tables
from tests.affiliates.test_attribution import BAD_COOKIES, sealed
from tests.concurrency import race
from tests.factories import make_course
from tests.statements import statements

pytestmark = pytest.mark.any_engine

PUBLIC = "public, max-age=60"
PRIVATE = "private, no-store"


def cookie_in(answer) -> str:
    """Return the code that an answer leaves in the browser, "" for none."""
    return attribution.read(answer.cookies["ref"].value) if "ref" in answer.cookies else ""


def funnel() -> list[tuple[str, int]]:
    return sorted(ReferralDay.objects.values_list("course_slug", "visits"))


def nothing_happened(answer) -> bool:
    return (
        "ref" not in answer.cookies
        and not ReferralVisit.objects.exists()
        and not ReferralDay.objects.exists()
    )


# --- the cookie -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/courses/",
        "/courses/{slug}/",
        "/checkout/{slug}/",
        "/help/",
        "/accounts/login/",
        "/no-such-page/",
    ],
)
def test_a_link_to_any_page_leaves_the_cookie(path: str):
    affiliate, course = make_affiliate(), make_course()
    path = path.format(slug=course.slug)
    plain = visitor().get(path)
    answer = visitor().get(f"{path}?ref={affiliate.code}")
    assert (cookie_in(answer), answer.status_code) == (affiliate.code, plain.status_code)
    assert answer["Cache-Control"] == PRIVATE


def test_the_cookie_is_for_our_server_alone_and_lasts_thirty_days():
    morsel = visitor().get(f"/?ref={make_affiliate().code}").cookies["ref"]
    assert (morsel["httponly"], morsel["samesite"], morsel["max-age"]) == (
        True,
        "Lax",
        30 * 24 * 3600,
    )
    assert (morsel["path"], morsel["domain"], morsel["secure"]) == ("/", "", "")


def test_in_production_the_cookie_is_secure(settings):
    """Its name begins with `__Host-` there: browsers take it only with Secure, path / and no
    domain.
    """
    settings.PRODUCTION, settings.REFERRAL_COOKIE_NAME = True, "__Host-ref"
    affiliate = make_affiliate()
    for path in (f"/?ref={affiliate.code}", f"/r/{affiliate.code}/"):
        morsel = visitor().get(path, secure=True).cookies["__Host-ref"]
        assert (morsel["secure"], morsel["path"], morsel["domain"], morsel["httponly"]) == (
            True,
            "/",
            "",
            True,
        )


def test_a_visitor_who_is_sent_on_to_https_brings_the_link_along(settings):
    """The cookie of an answer over http would be refused by the browser."""
    settings.SECURE_SSL_REDIRECT = True
    affiliate = make_affiliate()
    first = visitor().get(f"/courses/?q=data&ref={affiliate.code}")
    assert (first.status_code, first["Location"]) == (
        301,
        f"https://testserver/courses/?q=data&ref={affiliate.code}",
    )
    assert nothing_happened(first)
    assert (
        cookie_in(visitor().get(f"/courses/?q=data&ref={affiliate.code}", secure=True))
        == affiliate.code
    )
    assert funnel() == [("", 1)]


def test_the_course_link_and_the_short_link_lead_to_pages_of_ours():
    affiliate, course = make_affiliate(), make_course()
    for path, target in (
        (f"/r/{affiliate.code}/", "/"),
        (f"/r/{affiliate.code}/{course.slug}/", course.get_absolute_url()),
    ):
        answer = visitor().get(path)
        assert (answer.status_code, answer["Location"], cookie_in(answer)) == (
            302,
            target,
            affiliate.code,
        )
        assert answer["Cache-Control"] == PRIVATE
    assert affiliate.link.endswith(f"/r/{affiliate.code}/")
    assert affiliate.link_to(course.slug).endswith(f"/r/{affiliate.code}/{course.slug}/")


ELSEWHERE = [
    "//evil.example",
    "/\\evil.example",
    "https:evil.example",
    "javascript:alert(1)",
    "%0d%0aSet-Cookie:x=1",
    "%2f%2fevil.example",
]


@pytest.mark.parametrize("place", ELSEWHERE)
def test_no_link_leads_anywhere_else(place: str):
    affiliate = make_affiliate()
    asked = f"next={place}&url={place}&to={place}"
    for path in (
        f"/r/{affiliate.code}/?{asked}",
        f"/r/{affiliate.code}/{place}/",
        f"/r/{place}/",
        f"/r/{affiliate.code}//{place}",
    ):
        answer = visitor().get(path)
        assert answer.get("Location", "/") in ("/", f"/r/{affiliate.code}/"), (
            path,
            answer["Location"],
        )
        assert answer.status_code in (302, 301, 404, 400)
        assert "x" not in answer.cookies


def test_a_link_to_a_course_that_is_not_on_sale_leads_to_the_catalogue_and_counts():
    affiliate, course = make_affiliate(), make_course(status=Course.Status.DRAFT)
    for slug in (course.slug, "no-such-course", "x" * 300):
        answer = visitor().get(f"/r/{affiliate.code}/{slug}/")
        assert (answer.status_code, answer["Location"], cookie_in(answer)) == (
            302,
            "/",
            affiliate.code,
        )
    assert funnel() == [("", 1)]


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_a_link_is_only_looked_at(method: str):
    answer = getattr(visitor(), method)(f"/r/{make_affiliate().code}/")
    assert answer.status_code == 405
    assert nothing_happened(answer)


def test_the_last_click_counts():
    first, second = make_affiliate(), make_affiliate()
    client = visitor()
    client.get(f"/?ref={first.code}")
    assert cookie_in(client.get(f"/?ref={second.code}")) == second.code
    assert attribution.read(client.cookies["ref"].value) == second.code


@pytest.mark.every_engine
def test_the_first_click_counts_where_the_setting_says_so(settings):
    settings.ATTRIBUTION_MODEL = "first_click"
    first, second = make_affiliate(), make_affiliate()
    client = visitor()
    assert cookie_in(client.get(f"/?ref={first.code}")) == first.code
    answer = client.get(f"/?ref={second.code}")
    assert "ref" not in answer.cookies
    assert answer["Cache-Control"] == PRIVATE
    assert ReferralVisit.objects.count() == 2
    assert (
        cookie_in(old_link(second.email, client))
        == cookie_in(old_link("nobody@example.com", client))
        == first.code
    )
    client.cookies["ref"] = sealed(first.code, age=timedelta(days=31))
    assert cookie_in(client.get(f"/?ref={second.code}")) == second.code


def test_where_the_first_click_counts_one_that_counts_for_nobody_any_more_is_no_obstacle(settings):
    settings.ATTRIBUTION_MODEL = "first_click"
    first, second = make_affiliate(), make_affiliate()
    client = visitor()
    client.get(f"/?ref={first.code}")
    memberships.suspend(first, by="staff@example.com", reason="Looked into")
    assert cookie_in(client.get(f"/?ref={second.code}")) == second.code


def test_a_click_on_a_link_of_nobody_leaves_the_cookie_as_it_was():
    affiliate, suspended = make_affiliate(), make_affiliate()
    memberships.suspend(suspended, by="staff@example.com", reason="Looked into")
    client = visitor()
    client.get(f"/?ref={affiliate.code}")
    for text in ("nnnnnnnn", suspended.code, ""):
        assert "ref" not in client.get(f"/?ref={text}").cookies
    assert attribution.read(client.cookies["ref"].value) == affiliate.code
    assert ReferralVisit.objects.count() == 1


def test_nothing_in_the_cookie_is_about_the_visitor():
    """Two visitors, the same second, the same text."""
    affiliate = make_affiliate()

    def text_for(address: str, agent: str) -> str:
        answer = Client(headers={"user-agent": agent}).get(
            f"/?ref={affiliate.code}", REMOTE_ADDR=address
        )
        return answer.cookies["ref"].value

    for _ in range(5):
        one, other = text_for("192.0.2.1", BROWSER), text_for("192.0.2.2", f"{BROWSER} Other")
        if one == other:
            return
    raise AssertionError("never the same text")


# --- what is in the address -----------------------------------------------------------------------

BAD_REFS = {
    "empty": "",
    "a script": "%3Cscript%3Ealert(1)%3C/script%3E",
    "a script as it is": "<script>alert(1)</script>",
    "10 KB": "x" * 10_240,
    "10 KB and an at sign": "x" * 10_240 + "@example.com",
    "latin-1": "caf%E9",
    "latin-1 as it is": "caf\xe9",
    "NUL": "%00",
    "NUL in an address": "a%00@example.com",
    "half an escape": "%",
    "a line break": "abc%0d%0aSet-Cookie:%20x=1",
    "SQL": "' OR 1=1--",
    "an operator": "{%22$ne%22:%22%22}",
    "digits of another script": "%D9%A3%D9%A3%D9%A3",
    "a path": "../../admin",
    "a surrogate": "%ED%A0%80@example.com",
}


def get(client: Client, path: str, query: str):
    """Ask with exactly this query, as a browser may send it: bytes that are not ASCII stay as they
    are.
    """
    return client.generic("GET", path, QUERY_STRING=query)


@pytest.mark.parametrize("name", BAD_REFS)
def test_whatever_stands_in_ref_the_page_is_the_same_and_nothing_is_kept(name: str):
    affiliate, client = make_affiliate(), visitor()
    page = get(client, "/", "")
    answer = get(client, "/", f"ref={BAD_REFS[name]}")
    assert (answer.status_code, answer.content) == (200, page.content)
    assert nothing_happened(answer)
    assert answer["Cache-Control"] == PRIVATE
    assert (
        cookie_in(get(client, "/", f"ref={BAD_REFS[name]}&ref={affiliate.code}")) == affiliate.code
    )


@pytest.mark.any_engine
@pytest.mark.parametrize(
    "around",
    [
        "{}/",
        "{}.</a>",
        '"{}"',
        "({})",
        "{}?fbclid=1",
        "{}%3Fmc=2%26x",
        " {} ",
        "“{}”,",
        "{}#top",
        "<{}>",
    ],
)
def test_what_a_sentence_or_a_network_put_around_a_code_is_left_out(around: str):
    """Fault S4."""
    affiliate = make_affiliate("ada@example.com")
    assert cookie_in(get(visitor(), "/", f"ref={around.format(affiliate.code)}")) == affiliate.code
    address = unquote(around).format("ada@example.com")
    assert cookie_in(old_link(address)) == affiliate.code


@pytest.mark.any_engine
def test_a_link_out_of_a_pages_source_or_in_capitals_is_counted() -> None:
    """Fault S4."""
    code = make_affiliate().code
    for query in (
        f"page=2&amp;ref={code}",
        f"REF={code.upper()}",
        f"ref={code}, it is good",
        f"q=a?ref={code}",
    ):
        assert cookie_in(get(visitor(), "/", query)) == code, query


def test_of_several_refs_the_last_one_counts():
    one, two = make_affiliate(), make_affiliate()
    assert cookie_in(visitor().get(f"/?ref={one.code}&ref={two.code}")) == two.code
    assert ReferralVisit.objects.get().affiliate_id == two.pk
    assert "ref" not in visitor().get(f"/?ref={one.code}&ref=").cookies


@pytest.mark.parametrize("name", BAD_COOKIES)
def test_whatever_stands_in_the_cookie_every_page_is_shown_and_nobody_is_credited(name: str):
    make_affiliate()
    course = make_course()
    client = visitor()
    text = BAD_COOKIES[name].encode("utf-8", "surrogatepass").decode("latin-1").replace("\0", "%00")
    for path in ("/", f"/checkout/{course.slug}/"):
        answer = client.get(path, HTTP_COOKIE=f"ref={text}")
        assert answer.status_code == 200
        assert b"Referred by" not in answer.content
    assert nothing_happened(answer)


def test_an_old_link_with_an_address_works_and_the_cookie_has_the_code():
    affiliate = make_affiliate("ada+club@example.com")
    for query in (
        "ref=ada%2Bclub@example.com",
        "ref=ada%2Bclub%40Example.com",
        "ref=ada+club@example.com",
    ):
        answer = get(visitor(), "/", query)
        assert cookie_in(answer) == affiliate.code
        assert "example" not in answer.cookies["ref"].value
    assert "@" not in affiliate.link + affiliate.link_to("a-course")


def old_link(address: str, client: Client | None = None, path: str = "/"):
    return (client or visitor()).get(path, {"ref": address})


def test_an_old_link_does_not_show_whether_its_address_is_an_affiliates():
    """Neither by the cookie, nor by what later pages make of it; the page itself is the kept
    one.
    """
    affiliate, suspended = (
        make_affiliate("ada@example.com", name="Ada Lovelace"),
        make_affiliate("eve@example.com"),
    )
    memberships.suspend(suspended, by="staff@example.com", reason="Looked into")
    course = make_course()
    page = visitor().get("/")
    seen = set()
    for address in (affiliate.email, suspended.email, "nobody@example.com"):
        client = visitor()
        answer = old_link(address, client)
        cookie = answer.cookies["ref"]
        assert (answer.status_code, answer.content, answer["Cache-Control"]) == (
            200,
            page.content,
            PRIVATE,
        )
        assert attribution.is_hidden(cookie.value)
        assert affiliate.code not in cookie.value
        shown = [
            client.get(f"/checkout/{course.slug}/").content.decode(),
            old_link(address, path=f"/checkout/{course.slug}/").content.decode(),
        ]
        for html in shown:
            assert "You came here through a partner's link." in html
            assert "Ada Lovelace" not in html
            assert "Referred by" not in html
        attributes = sorted((name, value) for name, value in cookie.items() if name != "expires")
        seen.add(
            str(
                (
                    sorted(answer.headers),
                    attributes,
                    len(cookie.value),
                    "ref" in old_link(address, client).cookies,
                )
            )
        )
    assert len(seen) == 1, seen
    assert ReferralVisit.objects.get().affiliate_id == affiliate.pk


def test_an_old_link_of_nobody_takes_nothing_from_whom_the_visitor_came_through_before():
    affiliate, client = make_affiliate(), visitor()
    client.get(f"/?ref={affiliate.code}")
    assert cookie_in(old_link("nobody@example.com", client)) == affiliate.code
    assert ReferralVisit.objects.count() == 1


@pytest.mark.parametrize("path", ["/", "/r/{address}/"])
def test_addresses_are_not_tried_out_without_limit_and_no_page_is_refused_for_it(
    path: str, settings
):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "referral_address": "3/1h"}
    affiliate = make_affiliate("ada@example.com")
    for number in range(3):
        old_link(f"somebody{number}@example.com")
    answer = (
        old_link(affiliate.email)
        if path == "/"
        else visitor().get(path.format(address=affiliate.email))
    )
    assert answer.status_code in (200, 302)
    assert (attribution.is_hidden(answer.cookies["ref"].value), cookie_in(answer)) == (True, "")
    assert cookie_in(visitor().get(f"/?ref={affiliate.code}")) == affiliate.code, (
        "a code is not counted"
    )
    assert (
        cookie_in(visitor().get("/", {"ref": affiliate.email}, REMOTE_ADDR="192.0.2.7"))
        == affiliate.code
    )


def test_how_many_addresses_one_visitor_may_try_is_sixty_an_hour():
    assert product.RATE_LIMITS["referral_address"] == "60/1h"


QUERIES = [
    ("ref=x", ""),
    ("ref=x&q=data", "q=data"),
    ("q=data&ref=x", "q=data"),
    ("q=a&ref=x&cursor=b&ref=y", "q=a&cursor=b"),
    ("q=a+b%20c&ref=x", "q=a+b%20c"),
    ("q=%C3%A9&ref=x", "q=%C3%A9"),
    ("q=\xc3\xa9&ref=x", "q=\xc3\xa9"),
    ("q=%E9&ref=x", "q=%E9"),
    ("q=a;b&ref=x&&z", "q=a;b&&z"),
    ("q&ref=x", "q"),
    ("q=ref=x&ref=y", "q=ref=x"),
    ("%72ef=x&ref=y&xref=z", "xref=z"),
    ("href=x&pref=y", "href=x&pref=y"),
    ("next=%2F%3Fref%3Dx&ref=y", "next=%2F%3Fref%3Dx"),
    ("q=1&q=2&ref=x&q=3", "q=1&q=2&q=3"),
    ("ref", "ref"),
    ("", ""),
]


@pytest.mark.parametrize(("query", "left"), QUERIES, ids=[query for query, _ in QUERIES])
def test_everything_else_in_the_address_stays_as_it_was_written(query: str, left: str):
    def page(request: WSGIRequest) -> HttpResponse:
        return HttpResponse(
            repr(
                (request.META["QUERY_STRING"], request.get_full_path(), sorted(request.GET.lists()))
            )
        )

    def asked(query: str) -> WSGIRequest:
        stream = io.BytesIO()
        return WSGIRequest(
            {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "QUERY_STRING": query, "wsgi.input": stream}
        )

    assert ReferralMiddleware(page)(asked(query)).content == page(asked(left)).content


def test_searching_and_paging_work_with_a_link(settings):
    settings.PAGE_SIZE = 2
    affiliate = make_affiliate()
    for number in range(5):
        make_course(title=f"Data café {number}")
    client = visitor()
    for query in ("q=caf%C3%A9", "q=caf\xc3\xa9", "q=data&level=&price=", "limit=1"):
        plain = get(client, "/", query)
        assert get(client, "/", f"ref={affiliate.code}&{query}").content == plain.content
        assert get(client, "/", f"{query}&ref={affiliate.code}").content == plain.content
    assert (
        len(
            {
                get(client, "/", f"{query}&ref=x").content
                for query in ("q=caf%C3%A9", "q=nothing", "limit=1")
            }
        )
        == 3
    )


# --- the cached page ------------------------------------------------------------------------------


@pytest.mark.every_engine
def test_the_kept_page_is_served_as_it_is_and_asked_of_the_database_no_second_time():
    affiliate, course = make_affiliate(), make_course()
    for path in ("/", course.get_absolute_url(), "/help/"):
        kept = visitor().get(path)
        with statements() as asked:
            answer = visitor().get(f"{path}?ref={affiliate.code}", REMOTE_ADDR="192.0.2.1")
        assert (answer.content, answer.status_code) == (kept.content, 200)
        assert (kept["Cache-Control"], answer["Cache-Control"]) == (PUBLIC, PRIVATE)
        assert [sql for sql in asked if "courses_course" in sql] == []
        with statements() as asked:
            visitor().get(f"{path}?ref={affiliate.code}", REMOTE_ADDR="192.0.2.1")
        assert len(asked) == 2, "who it is, and whether today's visit is counted"


def test_a_page_that_a_link_is_the_first_to_ask_for_is_kept_without_the_cookie():
    affiliate, course = make_affiliate(), make_course()
    path = course.get_absolute_url()
    first = visitor().get(f"{path}?ref={affiliate.code}")
    assert cookie_in(first) == affiliate.code
    with statements() as asked:
        later = Client().get(path)
    assert asked == []
    assert (later.content, later["Cache-Control"]) == (first.content, PUBLIC)
    assert not later.cookies
    assert "Set-Cookie" not in later.headers
    assert not any(
        first.cookies["ref"].value.encode() in entry
        for entry in getattr(caches["pages"], "_cache", {}).values()
    )


@pytest.mark.parametrize(
    "headers",
    [{"user-agent": "Googlebot/2.1"}, {"sec-purpose": "prefetch"}, {}],
    ids=["robot", "prefetch", "nobody's link"],
)
def test_no_answer_to_a_link_may_be_kept_on_its_way(headers: dict):
    """Kept by a shared cache, it would be given to the next visitor of the link, who would get no
    cookie.
    """
    code = make_affiliate().code if headers else "nnnnnnnn"
    client = visitor(**headers)
    client.get("/")
    answer = client.get(f"/?ref={code}")
    assert answer["Cache-Control"] == PRIVATE
    assert nothing_happened(answer)


# --- visits ---------------------------------------------------------------------------------------


def test_a_visitor_is_counted_once_a_day_for_each_affiliate():
    one, two = make_affiliate(), make_affiliate()
    course = make_course()
    client = visitor()
    for _ in range(3):
        client.get(f"{course.get_absolute_url()}?ref={one.code}")
        client.get(f"/?ref={one.code}")
        client.get(f"/r/{one.code}/")
    client.get(f"/?ref={two.code}")
    assert funnel() == [("", 1), (course.slug, 1)]
    assert dict(ReferralVisit.objects.values_list("affiliate_id", "course_slug")) == {
        one.pk: course.slug,
        two.pk: "",
    }


def test_another_browser_or_address_is_another_visitor_and_one_household_is_one():
    affiliate = make_affiliate()
    for address, agent in (
        ("192.0.2.1", "A"),
        ("192.0.2.2", "A"),
        ("192.0.2.1", "B"),
        ("2001:db8::1", "A"),
        ("2001:db8::ffff", "A"),
    ):
        visitor(**{"user-agent": f"{BROWSER} {agent}"}).get(
            f"/?ref={affiliate.code}", REMOTE_ADDR=address
        )
    assert funnel() == [("", 4)]


def test_one_address_is_at_most_a_hundred_visitors_a_day_whatever_browsers_it_names():
    affiliate, day = make_affiliate(), visits.today()
    made_up = {
        visits.visitor_key(affiliate.pk, day, "192.0.2.1", f"{BROWSER} {number}")
        for number in range(3000)
    }
    elsewhere = {
        visits.visitor_key(affiliate.pk, day, f"192.0.2.{number}", BROWSER) for number in range(200)
    }
    assert (len(made_up), len(elsewhere), visits.MOST_VISITORS_OF_ONE_ADDRESS) == (100, 200, 100)
    assert len(visits.visitor_key(affiliate.pk, day, "192.0.2.1", "\ud800\xe9")) == 64


def test_tomorrow_is_another_day():
    affiliate = make_affiliate()
    visitor().get(f"/?ref={affiliate.code}")
    today = visits.today()
    keys = {
        visits.visitor_key(affiliate.pk, day, "127.0.0.1", BROWSER)
        for day in (today, today + timedelta(days=1))
    }
    assert len(keys) == 2
    assert ReferralVisit.objects.get().visitor_key in keys


@pytest.mark.every_engine
def test_many_tabs_at_once_are_one_visit():
    affiliate = make_affiliate()
    for day in range(3):
        answers = race(
            lambda _, day=day: visitor().get(
                f"/?ref={affiliate.code}", REMOTE_ADDR=f"192.0.2.{day}"
            ),
            threads=8,
        )
        assert {cookie_in(answer) for answer in answers} == {affiliate.code}
    assert (ReferralVisit.objects.count(), funnel()) == (3, [("", 3)])


@pytest.mark.every_engine
def test_many_visitors_at_once_are_all_counted():
    affiliate = make_affiliate()
    race(
        lambda number: visitor().get(f"/?ref={affiliate.code}", REMOTE_ADDR=f"192.0.2.{number}"),
        threads=12,
    )
    assert (ReferralVisit.objects.count(), funnel()) == (12, [("", 12)])


PEOPLE = [
    BROWSER,
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0"
        " Mobile/15E148 Safari/604.1"
    ),
    (
        "Mozilla/5.0 (Linux; Android 13; CUBOT NOTE 20) AppleWebKit/537.36 (KHTML, like Gecko)"
        " Chrome/142.0.0.0 Mobile Safari/537.36"
    ),
    (
        "Mozilla/5.0 (Linux; Android 15; Pixel 9; wv) AppleWebKit/537.36 Version/4.0 Chrome/142.0"
        " Mobile [FB_IAB/FB4A;FBAV/480.0.0.0]"
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Mobile/22B83"
        " Instagram 350.0.0"
    ),
]
ROBOTS = [
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)",
    "WhatsApp/2.23.20.0 A",
    "TelegramBot (like TwitterBot)",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
    (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
        " HeadlessChrome/142.0.0.0 Safari/537.36"
    ),
    "curl/8.10.1",
    "Wget/1.25",
    "python-requests/2.32.3",
    "Go-http-client/2.0",
    "Apache-HttpClient/4.5.14 (Java/21)",
    "",
]


@pytest.mark.parametrize("agent", PEOPLE)
def test_people_are_counted(agent: str):
    assert cookie_in(Client(headers={"user-agent": agent}).get(f"/?ref={make_affiliate().code}"))
    assert ReferralVisit.objects.count() == 1


@pytest.mark.parametrize("agent", ROBOTS)
def test_programs_are_not_counted_and_see_the_page(agent: str):
    affiliate = make_affiliate()
    client = Client(headers={"user-agent": agent} if agent else {})
    answer = client.get(f"/?ref={affiliate.code}")
    assert answer.status_code == 200
    assert client.get(f"/r/{affiliate.code}/").status_code == 302
    assert nothing_happened(answer)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-purpose": "prefetch;prerender"},
        {"purpose": "prefetch"},
        {"x-purpose": "preview"},
        {"x-moz": "prefetch"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_what_a_browser_fetches_ahead_is_not_counted(headers: dict):
    affiliate = make_affiliate()
    for path in (f"/?ref={affiliate.code}", f"/r/{affiliate.code}/"):
        assert nothing_happened(visitor(**headers).get(path))


def test_a_look_at_the_headers_is_not_counted():
    affiliate = make_affiliate()
    for path in (f"/?ref={affiliate.code}", f"/r/{affiliate.code}/"):
        assert nothing_happened(visitor().head(path))


def test_only_courses_that_are_shown_have_a_row_of_their_own():
    """Otherwise anybody could fill the funnel with courses that they make up."""
    affiliate, course, hidden = (
        make_affiliate(),
        make_course(),
        make_course(status=Course.Status.DRAFT),
    )
    for number, slug in enumerate((course.slug, hidden.slug, "made-up", "x" * 140)):
        visitor().get(f"/courses/{slug}/?ref={affiliate.code}", REMOTE_ADDR=f"192.0.2.{number}")
    assert funnel() == [("", 3), (course.slug, 1)]


def test_nothing_about_the_visitor_is_kept():
    affiliate = make_affiliate()
    agent = f"{BROWSER} Secret/7"
    for day in range(2):
        Client(headers={"user-agent": agent}).get(
            f"/?ref={affiliate.code}", REMOTE_ADDR=f"198.51.100.{day}"
        )
    kept = [
        str(value)
        for model in (ReferralVisit, ReferralDay)
        for row in model.objects.all()
        for value in (getattr(row, field.attname) for field in model._meta.concrete_fields)
    ]
    assert not [text for text in kept if "198.51" in text or "Secret" in text or "Mozilla" in text]
    assert {field.name for field in ReferralVisit._meta.concrete_fields} == {
        "id", "affiliate", "course_slug", "day", "visitor_key", "created_at",
    }  # fmt: skip


@pytest.mark.every_engine
def test_visits_are_forgotten_after_their_time_and_the_counts_stay():
    affiliate = make_affiliate()
    visitor().get(f"/?ref={affiliate.code}")
    assert visits.forget_old() == 0
    ReferralVisit.objects.update(day=timezone.now().date() - timedelta(days=91))
    assert visits.forget_old() == 1
    assert (ReferralVisit.objects.count(), funnel()) == (0, [("", 1)])


# --- trouble --------------------------------------------------------------------------------------


@pytest.mark.every_engine
@pytest.mark.parametrize(
    "lost",
    [(Affiliate,), (ReferralVisit,), (ReferralDay,), (Affiliate, ReferralVisit, ReferralDay)],
)
def test_no_page_fails_because_a_visit_cannot_be_counted(
    lost: tuple, caplog: pytest.LogCaptureFixture
):
    affiliate, course = make_affiliate(), make_course()
    with without_tables(*lost):
        assert all(is_broken(model) for model in lost)
        for path in ("/", course.get_absolute_url(), f"/checkout/{course.slug}/"):
            answer = visitor().get(f"{path}?ref={affiliate.code}")
            assert answer.status_code == 200
            assert cookie_in(answer) == ("" if Affiliate in lost else affiliate.code)
        answer = visitor().get(f"/r/{affiliate.code}/{course.slug}/")
        assert (answer.status_code, answer["Location"]) == (302, course.get_absolute_url())
    assert ReferralVisit.objects.count() == 0
    assert {
        record.levelno for record in caplog.records if record.name == "affiliates.middleware"
    } == {logging.ERROR}
    visitor().get(f"/?ref={affiliate.code}")
    assert funnel() == [("", 1)]


def test_the_links_have_names():
    assert reverse("referral", args=["abcdefgh"]) == "/r/abcdefgh/"
    assert reverse("referral_course", args=["abcdefgh", "a-course"]) == "/r/abcdefgh/a-course/"
