import pytest
from django.http import QueryDict

from courses.catalogue import Filters, browse, read_filters, related_to
from courses.pricing import PRICE_BANDS
from tests.factories import make_course
from tests.statements import statements


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("query", "filters"),
    [
        ("", Filters()),
        (
            "q=data&category=health&level=beginner&price=free",
            Filters("data", "health", "beginner", "free"),
        ),
        ("category=cooking&level=EXPERT&price=cheap", Filters()),
        ("category=health&category=data", Filters(category="data")),
        ("category[$ne]=x&level=%00&price='", Filters()),
        ("q=%00%00", Filters()),
        ("q=%ED%A0%80", Filters(q="\ufffd" * 3)),
        ("q=" + "x" * 100_000, Filters(q="x" * 100)),
    ],
)
def test_only_values_we_offer_become_filters(query, filters):
    assert read_filters(QueryDict(query)) == filters


@pytest.mark.any_engine
def test_filters_are_written_back_into_an_address():
    filters = Filters(q="a&b", level="beginner")
    assert filters.query_string() == "?q=a%26b&level=beginner"
    assert filters.query_string(category="health", level="") == "?q=a%26b&category=health"
    assert (Filters().query_string(), Filters().is_active, filters.is_active) == ("", False, True)


@pytest.fixture
def courses_on_sale(db):
    make_course(slug="sql", category="data", level="beginner", price=14900)
    make_course(slug="ml", category="data", level="advanced", price=119000)
    make_course(slug="aid", category="health", level="beginner", price=4900)
    make_course(slug="security", category="data", level="beginner", price=0)
    make_course(slug="yen", category="business", level="beginner", price=150, currency="jpy")
    make_course(slug="hidden", category="data", level="beginner", price=14900, status="draft")


def slugs(found) -> set[str]:
    return {course.slug for course in found.page.rows}


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (Filters(), {"sql", "ml", "aid", "security", "yen"}),
        (Filters(category="data"), {"sql", "ml", "security"}),
        (Filters(category="data", level="beginner"), {"sql", "security"}),
        (Filters(price="free"), {"security"}),
        (Filters(price="under-100"), {"aid"}),
        (Filters(price="100-300"), {"sql", "yen"}),
        (Filters(price="300-600"), set()),
        (Filters(price="over-600"), {"ml"}),
        (Filters(category="creative"), set()),
    ],
)
def test_filters_narrow_what_is_on_sale(courses_on_sale, filters, found):
    catalogue = browse(filters)
    assert slugs(catalogue) == found
    assert catalogue.total == len(found)


def test_every_price_is_in_exactly_one_band(courses_on_sale):
    found = [slug for band in PRICE_BANDS for slug in slugs(browse(Filters(price=band)))]
    assert sorted(found) == ["aid", "ml", "security", "sql", "yen"]


def test_counts_by_subject_leave_the_chosen_subject_out(courses_on_sale):
    catalogue = browse(Filters(category="health", level="beginner"))
    assert catalogue.counts == {"data": 2, "health": 1, "business": 1}
    assert catalogue.total == 1


@pytest.mark.any_engine
def test_the_total_counts_all_pages(courses_on_sale):
    catalogue = browse(Filters(), limit=2)
    assert (len(catalogue.page.rows), catalogue.total, catalogue.page.has_more) == (2, 5, True)


def test_a_page_of_the_catalogue_takes_two_statements(courses_on_sale):
    with statements() as found:
        browse(Filters(q="course", category="data", level="beginner", price="free"))
    assert len(found) == 2


@pytest.mark.any_engine
def test_related_courses_are_others_of_the_subject_on_sale(db):
    course = make_course(slug="one", category="health")
    others = [make_course(slug=f"other-{number}", category="health") for number in range(4)]
    make_course(category="data")
    make_course(category="health", status="archived")
    assert related_to(course) == others[:0:-1]
