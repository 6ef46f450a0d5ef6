"""Why this course: who teaches it, how many learn it, a sample, and what others show of it."""

import json
import re
import struct
from typing import Any

import pytest
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.test import Client
from pytest_django.fixtures import Settings

from courses.models import Course
from courses.profiles import InstructorProfile
from enrollments.models import Enrollment
from tests.factories import EnrollmentFactory, make_course, taught_by

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
TAUGHT = taught_by("Ada Lovelace, Analyst", "Dr. Grace Hopper, Admiral")


def page_of(client: Client, course: Course) -> str:
    answer = client.get(course.get_absolute_url())
    assert answer.status_code == 200
    return answer.content.decode()


def meta(page: str) -> dict[str, str]:
    found = re.findall(r'<meta (?:property|name)="([^"]+)" content="([^"]*)"', page)
    return {name: value.replace("&amp;", "&") for name, value in found}


def test_people_are_shown_with_what_is_known_of_them(client: Client) -> None:
    InstructorProfile.objects.create(
        name="Ada Lovelace",
        biography="Wrote <b>programs</b>.",
        link="https://people.example/ada",
        face="faces/0123.webp",
    )
    page = page_of(client, make_course(instructors=TAUGHT))
    assert "Taught by <bdi>Ada Lovelace</bdi>, <bdi>Dr. Grace Hopper</bdi>" in page
    assert "More about <bdi>Ada Lovelace</bdi>" in page
    assert page.count('src="/faces/0123.webp"') == 2
    assert "Wrote &lt;b&gt;programs&lt;/b&gt;." in page
    assert 'href="https://people.example/ada" target="_blank" rel="noopener noreferrer"' in page
    assert '<span class="face" aria-hidden="true">GH</span>' in page


def test_outcomes_and_people_come_before_the_price_on_a_phone(client: Client) -> None:
    page = page_of(client, make_course(instructors=TAUGHT, outcomes=["Count", "Write"]))
    order = [page.index(each) for each in ('class="taught"', "data-enroll", 'id="outcomes"')]
    assert order == sorted(order)


@pytest.mark.parametrize(("paid", "says"), [(9, None), (10, "10 learners"), (12, "12 learners")])
def test_learners_are_counted_from_paid_enrollments_and_shown_from_ten_on(
    client: Client, paid: int, says: str | None
) -> None:
    course = make_course()
    EnrollmentFactory.create_batch(paid, course=course, status=Enrollment.PAID)
    EnrollmentFactory.create_batch(2, course=course)
    EnrollmentFactory.create(course=course, status=Enrollment.REFUNDED)
    found = re.search(r"(\d+ learners?)<", page_of(client, course))
    assert (found[1] if found else None) == says
    cache.clear()
    assert course.enrolled == paid


def test_a_sample_is_there_before_paying_and_loads_nothing_from_elsewhere(client: Client) -> None:
    course = make_course(
        sample_title="Lesson <1>",
        sample_text="First.\n\nSecond.",
        sample_video="https://videos.example/watch?v=1",
    )
    page = page_of(client, course)
    assert "Sample lesson: <bdi>Lesson &lt;1&gt;</bdi>" in page
    assert "<p>First.</p>" in page
    link = re.search(r'<a class="button quiet" href="(https://videos[^"]+)"([^>]*)>', page)
    assert link
    assert link[2] == ' target="_blank" rel="noopener noreferrer"'
    assert "videos.example</span>" in page
    assert not re.findall(r"<(?:iframe|video|embed|object|img|script)[^>]*videos", page)
    assert 'class="certificate"' in page
    assert "Sample lesson:" not in page_of(client, make_course())


@pytest.mark.parametrize(
    "address",
    ["http://videos.example/1", "javascript:alert(1)", "https://", "https://a@b.example/"],
)
def test_a_video_is_an_https_address(address: str) -> None:
    with pytest.raises(ValidationError, match="https://"):
        make_course(sample_video=address)


# --- what others show of it -----------------------------------------------------------------------
def size_of(png: bytes) -> tuple[int, int]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", png[16:24])


def test_a_link_to_a_course_has_a_picture_with_title_and_price(
    client: Client, settings: Settings
) -> None:
    settings.SITE_URL = "https://shop.example"
    course = make_course(slug="a", title="Élan & <Data>", price=12345)
    facts = meta(page_of(client, course))
    assert facts["og:image"] == f"https://shop.example{course.card_url}"
    assert facts["twitter:card"] == "summary_large_image"
    assert (facts["og:image:width"], facts["og:image:height"]) == ("1200", "630")
    answer = client.get(course.card_url)
    assert (answer["Content-Type"], size_of(answer.content)) == ("image/png", (1200, 630))
    before = course.card_url, answer.content
    course.price = 99
    course.save()
    assert course.card_url != before[0]
    assert client.get(course.card_url).content != before[1]
    assert client.get("/covers/nothing.png").status_code == 404
    assert client.get(make_course(status="archived").card_url).status_code == 404


def test_every_other_page_has_the_shops_picture(client: Client, settings: Settings) -> None:
    make_course()
    for address in ("/", "/help/", "/about/", "/grants/", "/terms/"):
        facts = meta(client.get(address).content.decode())
        assert facts["og:image"] == f"{settings.SITE_URL}/card.png", address
    answer = client.get("/card.png")
    assert (answer["Content-Type"], size_of(answer.content)) == ("image/png", (1200, 630))


@pytest.mark.parametrize(
    "title", ["ا" * 140, "W" * 140, "日本語の" * 20, "A & <b> \" '", "🎓 Course", "x"]
)
def test_any_title_can_be_drawn(client: Client, title: str) -> None:
    answer = client.get(make_course(title=title).card_url)
    assert (answer.status_code, size_of(answer.content)) == (200, (1200, 630))


# --- structured data ------------------------------------------------------------------------------
# The properties that schema.org gives each type, as far as we use them, and what they hold.
TEXT, URL = "Text", "URL"
VOCABULARY: dict[str, dict[str, tuple[str, ...]]] = {
    "Course": {
        **dict.fromkeys(
            ("name", "description", "inLanguage", "educationalLevel", "teaches"), (TEXT,)
        ),
        **dict.fromkeys(("url", "image"), (URL,)),
        "provider": ("Organization",),
        "offers": ("Offer",),
        "hasCourseInstance": ("CourseInstance",),
    },
    "CourseInstance": {"courseMode": (TEXT,), "courseWorkload": (TEXT,), "instructor": ("Person",)},
    "Offer": {
        **dict.fromkeys(("category", "price", "priceCurrency"), (TEXT,)),
        **dict.fromkeys(("url", "availability"), (URL,)),
    },
    "Organization": {
        **dict.fromkeys(("name", "legalName", "address", "taxID", "telephone", "email"), (TEXT,)),
        "url": (URL,),
    },
    "Person": {
        **dict.fromkeys(("name", "jobTitle", "description"), (TEXT,)),
        **dict.fromkeys(("url", "image"), (URL,)),
    },
}
# What search engines ask for before they show a course with its price.
NEEDED = {
    "Course": {"name", "description", "provider", "offers", "hasCourseInstance"},
    "CourseInstance": {"courseMode", "courseWorkload"},
    "Offer": {"category", "price", "priceCurrency"},
    "Organization": {"name", "url"},
    "Person": {"name"},
}


def problems(thing: dict[str, Any]) -> list[str]:
    kind = thing["@type"]
    given = {name: value for name, value in thing.items() if not name.startswith("@")}
    found = [f"{kind} needs {name}" for name in NEEDED[kind] - set(given)]
    for name, value in given.items():
        for each in value if isinstance(value, list) else [value]:
            found += _wrong(kind, name, each)
    return found


def _wrong(kind: str, name: str, value: Any) -> list[str]:
    allowed = VOCABULARY[kind].get(name, ())
    if isinstance(value, dict):
        return problems(value) if value["@type"] in allowed else [f"{kind}.{name}: {value}"]
    is_address = str(value).startswith(("http://", "https://"))
    is_good = isinstance(value, str) and (TEXT in allowed or (URL in allowed and is_address))
    return [] if is_good and value else [f"{kind}.{name}: {value!r}"]


def structured(page: str) -> dict[str, Any]:
    [block] = re.findall(r'<script type="application/ld\+json">(.*?)</script>', page, re.DOTALL)
    return json.loads(block)


@pytest.mark.parametrize("price", [0, 12345])
def test_structured_data_is_valid_by_its_schema(client: Client, price: int) -> None:
    InstructorProfile.objects.create(
        name="Ada Lovelace", biography="Wrote.", link="https://a.example"
    )
    course = make_course(price=price, instructors=TAUGHT, outcomes=["Count"], duration_hours=3)
    data = structured(page_of(client, course))
    assert data["@context"] == "https://schema.org"
    assert problems(data) == []
    assert data["offers"]["price"] == ("123.45" if price else "0.00")
    assert data["provider"]["legalName"] == "Example Learning Ltd."
    instance = data["hasCourseInstance"]
    assert instance["courseWorkload"] == "PT3H"
    assert [each["name"] for each in instance["instructor"]] == ["Ada Lovelace", "Dr. Grace Hopper"]
    front = structured(client.get("/").content.decode())
    assert (front["@type"], problems(front)) == ("Organization", [])


def test_control_a_wrong_property_and_a_missing_one_are_noticed() -> None:
    assert problems({"@type": "Person", "name": "A", "shoeSize": "43"}) == ["Person.shoeSize: '43'"]
    assert problems({"@type": "Person"}) == ["Person needs name"]
    assert problems({"@type": "Organization", "name": "A", "url": "shop"}) == [
        "Organization.url: 'shop'"
    ]


def test_a_title_from_right_to_left_keeps_its_order_in_the_title_of_a_window(
    client: Client,
) -> None:
    """Fault S2."""
    page = page_of(client, make_course(title="تعلم Python"))
    assert "<title>\u2068تعلم Python\u2069 · " in page
    found = client.get("/", {"q": "تعلم Python"}).text
    assert "<title>Courses for “\u2068تعلم Python\u2069” · " in found
