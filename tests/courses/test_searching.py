import time

import pytest

from courses.models import Course
from courses.searching import clean_query, search_words
from tests.factories import make_course


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("typed", "cleaned"),
    [
        ("  data   analysis ", "data analysis"),
        ("da\0ta", "da ta"),
        ("a\ud800b", "a b"),
        ("line\r\nbreak", "line break"),
        ("x" * 300, "x" * 100),
        ("", ""),
        ("\0\0\0", ""),
    ],
)
def test_a_query_becomes_one_short_printable_line(typed, cleaned):
    assert clean_query(typed) == cleaned


@pytest.mark.any_engine
def test_words_are_compared_without_case_and_once_each():
    assert search_words("Data DATA ﬁrst") == ["data", "first"]


@pytest.fixture
def courses_on_sale(db):
    make_course(
        slug="percent", title="100% cotton", summary="Weaving at home.", category="creative"
    )
    make_course(slug="underscore", title="snake_case", summary="Names in code.", category="data")
    make_course(
        slug="regex",
        title="What (a+)+$ does",
        summary="Patterns [sic] and $where they go.",
        category="data",
    )
    make_course(
        slug="backslash",
        title="C:\\temp",
        summary="Paths 'quoted' and \"quoted\".",
        category="data",
    )
    make_course(
        slug="accents", title="Élan vital", summary="Straße and ÅNGSTRÖM.", category="education"
    )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("%", {"percent"}),
        ("_", {"underscore"}),
        ("100%", {"percent"}),
        ("1%0", set()),
        ("snake_case", {"underscore"}),
        ("snakeXcase", set()),
        ("(a+)+$", {"regex"}),
        ("$where", {"regex"}),
        ("[sic]", {"regex"}),
        (".*", set()),
        ("^what", set()),
        ("{", set()),
        ("C:\\temp", {"backslash"}),
        ("\\", {"backslash"}),
        ("'quoted'", {"backslash"}),
        ('"quoted"', {"backslash"}),
        ("' OR 1=1--", set()),
        ("SNAKE_CASE", {"underscore"}),
        ("élan", {"accents"}),
        ("ÉLAN", {"accents"}),
        ("STRASSE", {"accents"}),
        ("ångström", {"accents"}),
        ("code names", {"underscore"}),
        ("names weaving", set()),
        ("creative", {"percent"}),
        ("teaching", {"accents"}),
    ],
)
def test_every_word_is_looked_for_literally_in_title_summary_and_category(
    courses_on_sale, query, found
):
    assert set(Course.objects.search(query).values_list("slug", flat=True)) == found


@pytest.mark.any_engine
def test_an_empty_query_finds_everything(courses_on_sale):
    assert Course.objects.search(" \0 ").count() == 5


@pytest.mark.parametrize("query", ["(a+)+$" * 17_000, "%" * 100_000, "a b " * 25_000])
def test_a_huge_query_is_answered_quickly(courses_on_sale, query):
    started = time.perf_counter()
    list(Course.objects.search(query))
    assert time.perf_counter() - started < 0.5
