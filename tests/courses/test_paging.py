import itertools
from datetime import UTC, datetime, timedelta

import pytest

from courses.models import Course
from maaledu.paging import DEFAULT_LIMIT, MAX_LIMIT, BadCursor, paginate, read_limit
from tests.factories import make_course
from tests.statements import statements

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
NO_SIZES = ["", "0", "-1", "1.5", "ten", "9" * 5000, "٣", "²", "5\0"]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def make_rows(count: int, *, at_once: int = 1) -> None:
    """Make rows of which `at_once` in a row share their moment."""
    for number in range(count):
        make_course(
            slug=f"course-{number:03}",
            title=f"Title {number % 4}",
            created_at=NOON + timedelta(milliseconds=number // at_once),
        )


def walk(queryset, **options) -> list[list[str]]:
    pages, cursor = [], ""
    for _ in itertools.repeat(None, 100):
        page = paginate(queryset, cursor=cursor, **options)
        pages.append([row.slug for row in page.rows])
        assert page.has_more == bool(page.next_cursor)
        cursor = page.next_cursor
        if not cursor:
            return pages
    raise AssertionError("the pages never end")


@pytest.mark.parametrize("at_once", [1, 3, 23])
@pytest.mark.parametrize("limit", [1, 4, 22, 23, 24])
def test_the_pages_hold_every_row_once_and_in_order(limit, at_once):
    make_rows(23, at_once=at_once)
    pages = walk(Course.objects.all(), limit=limit)
    whole = list(Course.objects.order_by("-created_at", "-id").values_list("slug", flat=True))
    assert [slug for page in pages for slug in page] == whole
    assert {len(page) for page in pages[:-1]} <= {limit}


@pytest.mark.every_engine
def test_another_order_with_ties_works_the_same():
    make_rows(11)
    pages = walk(Course.objects.all(), limit=3, order=("title", "-created_at", "id"))
    assert [slug for page in pages for slug in page] == list(
        Course.objects.order_by("title", "-created_at", "id").values_list("slug", flat=True)
    )


@pytest.mark.every_engine
def test_rows_that_arrive_or_leave_between_two_pages_shift_nothing():
    make_rows(10)
    first = paginate(Course.objects.all(), limit=4)
    make_course(slug="newcomer", created_at=NOON + timedelta(days=1))
    Course.objects.filter(pk=first.rows[0].pk).delete()
    second = paginate(Course.objects.all(), cursor=first.next_cursor, limit=4)
    assert [row.slug for row in second.rows] == [
        "course-005",
        "course-004",
        "course-003",
        "course-002",
    ]


def test_no_page_and_an_exact_page_have_no_next_one():
    assert paginate(Course.objects.all()).rows == []
    make_rows(4)
    page = paginate(Course.objects.all(), limit=4)
    assert (len(page.rows), page.has_more, page.next_cursor) == (4, False, "")


@pytest.mark.every_engine
def test_a_page_costs_one_statement():
    make_rows(6)
    cursor = paginate(Course.objects.all(), limit=2).next_cursor
    with statements() as found:
        paginate(Course.objects.all(), cursor=cursor, limit=2)
    assert len(found) == 1


@pytest.mark.parametrize(("limit", "size"), [(0, 1), (-5, 1), (50, 50), (51, 50), (10_000, 50)])
def test_a_page_is_never_larger_than_fifty_rows(limit, size):
    make_rows(55)
    assert len(paginate(Course.objects.all(), limit=limit).rows) == size


@pytest.mark.parametrize(
    "cursor", ["x", "a:b", "W10:x", "é", "\0", "x" * 601, "../..", "eyJhIjoxfQ:zzzz"]
)
def test_a_cursor_we_did_not_make_is_refused(cursor):
    with pytest.raises(BadCursor):
        paginate(Course.objects.all(), cursor=cursor)


def test_a_changed_cursor_and_one_of_another_list_are_refused():
    make_rows(3)
    cursor = paginate(Course.objects.all(), limit=1).next_cursor
    with pytest.raises(BadCursor):
        paginate(Course.objects.all(), cursor="A" + cursor[1:])
    with pytest.raises(BadCursor):
        paginate(Course.objects.all(), cursor=cursor, order=("created_at", "id"))


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("7", 7),
        ("50", 50),
        ("51", MAX_LIMIT),
        *[
            (text, DEFAULT_LIMIT)
            for text in ("", "0", "-1", "1.5", "ten", "9" * 5000, "٣", "²", "5\0")
        ],
    ],
)
def test_any_text_is_a_page_size(text, limit):
    assert read_limit(text) == limit
