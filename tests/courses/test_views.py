import json
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from courses.models import Course
from courses.publishing import archive
from demo.courses import seed_courses
from tests.factories import make_course, taught_by
from tests.statements import statements

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
MAX_PAGE_WEIGHT = 150_000


def linked_assets(page: str) -> list[Path]:
    addresses = re.findall(
        r'<link rel="stylesheet" href="/static/([^"]+)"|<script src="/static/([^"]+)"', page
    )
    return [Path(settings.BASE_DIR, "static", style or script) for style, script in addresses]


def text_of(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status, response.content[:500]
    return response.content.decode()


@pytest.mark.every_engine
def test_the_front_page_shows_the_courses_on_sale_and_leads_to_the_rest(client):
    seed_courses()
    page = text_of(client, "/")
    assert page.count('<article class="card">') == 20
    assert page.index("Data Analysis Foundations") < page.index("Project Finance Essentials")
    assert "22 courses" in page
    assert "$499.00" in page
    assert "Data Science with Python" not in page
    rest = text_of(client, re.search(r'rel="next" href="([^"]+)"', page)[1].replace("&amp;", "&"))
    assert rest.count('<article class="card">') == 2
    shown = re.findall(r'<h[23]><a href="(/courses/[^"]+)"', page + rest)
    assert sorted(shown) == sorted(course.get_absolute_url() for course in Course.objects.on_sale())


def test_the_chosen_subject_comes_first_in_the_row(client):
    make_course()
    *others, chosen = Course.Category.values
    for address, order in {
        "/": ["", *others, chosen],
        f"/?category={chosen}": ["", chosen, *others],
    }.items():
        row = text_of(client, address).split('class="subjects"')[1].split("</nav>")[0]
        assert re.findall(r'<a href="/(?:\?category=)?(\w*)"', row) == order


def test_the_catalogue_has_two_addresses_and_one_canonical_one(client):
    make_course()
    assert '<link rel="canonical" href="http://testserver/">' in text_of(client, "/courses/")


def test_the_catalogue_weighs_less_than_150_kb_without_images(client):
    seed_courses()
    page = text_of(client, "/")
    assets = linked_assets(page)
    assert len(assets) == 2
    assert len(page.encode()) + sum(asset.stat().st_size for asset in assets) < MAX_PAGE_WEIGHT


@pytest.mark.every_engine
def test_public_pages_take_few_statements_and_none_from_the_cache(client):
    course = make_course(instructors=taught_by("Ada Lovelace, Analyst"))
    make_course()
    for address, count in {
        "/": 2,
        course.get_absolute_url(): 4,  # itself, others like it, who teaches it, how many learn
        course.cover_url: 1,
        course.card_url: 1,
        "/help/": 0,
        "/about/": 0,
        "/sitemap.xml": 2,  # how many courses, and their addresses
    }.items():
        with statements() as first:
            client.get(address)
        with statements() as second:
            client.get(address)
        assert (len(first), len(second)) == (count, 0), address


def test_a_saved_or_archived_course_is_seen_at_once(client):
    course = make_course(title="Before")
    assert "Before" in text_of(client, "/")
    course.title = "After"
    course.save()
    assert "After" in text_of(client, "/")
    archive(course)
    assert "After" not in text_of(client, "/")
    assert "COURSE_NOT_FOUND" in text_of(client, course.get_absolute_url(), status=404)


def test_public_pages_are_the_same_bytes_for_everybody(client, django_user_model):
    course = make_course()
    signed_in = Client()
    signed_in.force_login(
        django_user_model.objects.create_user("amal@example.org", "correct horse battery")
    )
    for address in (
        "/",
        course.get_absolute_url(),
        course.cover_url,
        "/help/",
        "/terms/",
        "/privacy/",
    ):
        mine, theirs = client.get(address, {"v": "1"}), signed_in.get(address, {"v": "2"})
        assert mine.content == theirs.content, address
        assert not mine.cookies
        assert "Cookie" not in mine.get("Vary", "")


@pytest.mark.every_engine
@pytest.mark.parametrize(
    "query",
    [
        "q=%00",
        "q=%",
        "q=%25%5F",
        "q=%ED%A0%80%F0",
        "q=(a%2B)%2B%24",
        "q[$where]=1&category[$ne]=x",
        "category=%27%20OR%201=1--",
        "limit=-1",
        "limit=1e9",
        "limit=%00",
        "price=0",
        "level=beginner&level=advanced",
        "unknown=" + "x" * 100_000,
        "q=" + "x" * 100_000,
    ],
)
def test_no_query_string_breaks_the_catalogue(client, query):
    make_course()
    assert client.get("/?" + query).status_code in (200, 400)


@pytest.mark.parametrize("cursor", ["x", "%00", "a:b:c", "x" * 5000, "é"])
def test_a_bad_cursor_is_refused_with_its_code(client, cursor):
    response = client.get("/", {"cursor": cursor})
    assert response.status_code == 400
    assert b"BAD_" in response.content


@pytest.mark.parametrize("slug", ["unknown", "x" * 300, "draft", "archived", "UNKNOWN", "a_b"])
def test_what_is_not_on_sale_has_no_page(client, slug):
    make_course(slug="draft", status="draft")
    make_course(slug="archived", status="archived")
    text_of(client, f"/courses/{slug}/", status=404)


@pytest.mark.parametrize(
    "path", ["/courses/../admin/x/", "/courses/' OR 1=1--/", "/courses/a%00b/", "/covers/..%2f.svg"]
)
def test_free_text_in_an_address_is_not_found(client, path):
    assert client.get(path).status_code in (400, 404)


@pytest.mark.every_engine
def test_an_empty_shop_and_an_empty_search_say_so(client):
    assert "No courses are on sale yet" in text_of(client, "/")
    make_course()
    page = text_of(client, "/?q=zzz%20%22%3Cb%3E")
    assert "No course matches that" in page
    assert "<b>" not in page


def test_a_course_page_answers_what_a_buyer_asks(client):
    seed_courses()
    page = text_of(client, "/courses/project-finance-essentials/")
    for fact in (
        "$199.99",
        "Intermediate",
        "20 hours",
        "4 hours a week for 5 weeks",
        "Samuel Okonkwo",
        "The waterfall",
        "Read a term sheet",
        "Is there a certificate?",
        "What if it is not for me?",
        'href="/checkout/project-finance-essentials/"',
        '<link rel="canonical" href="http://testserver/courses/project-finance-essentials/">',
    ):
        assert fact in page, fact
    assert page.count('<article class="card">') == 3


def test_a_free_course_asks_for_no_card(client):
    make_course(slug="free", price=0)
    page = text_of(client, "/courses/free/")
    assert "Enroll for free" in page
    assert "No card needed" in page
    assert "Money back" not in page


def test_structured_data_is_valid_and_cannot_leave_its_element(client):
    course = make_course(
        title="</script><script>alert(1)</script>",
        summary="a & b \u2028",
        price=5000,
        currency="jpy",
    )
    page = text_of(client, course.get_absolute_url())
    data = json.loads(
        re.search(r'<script type="application/ld\+json">(.*?)</script>', page, re.DOTALL)[1]
    )
    assert (data["@type"], data["name"], data["description"]) == (
        "Course",
        course.title,
        course.summary,
    )
    assert data["offers"]["price"] == "5000"
    assert "<script>alert" not in page


def test_a_cover_is_cached_for_long_and_drafts_have_none(client):
    course = make_course(status="archived")
    response = client.get(course.cover_url)
    assert response["Content-Type"] == "image/svg+xml"
    assert response["Cache-Control"] == "public, max-age=2592000"
    assert client.get(make_course(status="draft").cover_url).status_code == 404


@pytest.mark.parametrize("address", ["/", "/courses/a/", "/covers/a.svg", "/help/"])
def test_public_pages_only_take_get_and_head(client, address):
    make_course(slug="a")
    assert client.head(address).status_code == 200
    assert client.post(address).status_code == 405
