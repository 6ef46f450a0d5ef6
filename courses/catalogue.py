"""The catalogue: search, filters, counts by category and one page of courses, in two queries."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from urllib.parse import urlencode

from django.db.models import Count

from courses.models import Course, CourseQuerySet
from courses.pricing import PRICE_BANDS
from courses.searching import clean_query
from maaledu.paging import DEFAULT_LIMIT, Page, paginate, read_limit

RELATED_COURSES = 3


@dataclass(frozen=True)
class Filters:
    """What a visitor narrowed the catalogue to; an empty value means everything.

    It holds only values that the page offers.
    """

    q: str = ""
    category: str = ""
    level: str = ""
    price: str = ""

    @property
    def is_active(self) -> bool:
        return any(asdict(self).values())

    def query_string(self, **extra: str) -> str:
        """Return `?q=…&level=…` of what is set; `extra` changes it, or drops what it has empty."""
        parameters = {name: value for name, value in {**asdict(self), **extra}.items() if value}
        return f"?{urlencode(parameters)}" if parameters else ""


@dataclass(frozen=True)
class Catalogue:
    page: Page
    total: int
    counts: dict[str, int]


def read_filters(parameters: Mapping[str, str]) -> Filters:
    """Return the filters of a query string. A value we do not offer is ignored, never an error."""
    return Filters(
        q=clean_query(parameters.get("q", "")),
        category=_offered(parameters.get("category", ""), Course.Category.values),
        level=_offered(parameters.get("level", ""), Course.Level.values),
        price=_offered(parameters.get("price", ""), list(PRICE_BANDS)),
    )


def read_page_size(parameters: Mapping[str, str]) -> int:
    return read_limit(parameters.get("limit", ""))


def browse(filters: Filters, *, cursor: str = "", limit: int = DEFAULT_LIMIT) -> Catalogue:
    """Return one page of courses on sale, how many there are in all, and how many in each category.

    The counts by category leave the category filter out, so that a visitor sees what the other ones
    hold. Raises BadCursor.
    """
    anywhere = (
        Course.objects.on_sale()
        .search(filters.q)
        .filtered(level=filters.level, price=filters.price)
    )
    page = paginate(
        anywhere.filtered(category=filters.category).for_cards(), cursor=cursor, limit=limit
    )
    counts = _count_by_category(anywhere)
    # From the counts, which saves a third query.
    total = counts.get(filters.category, 0) if filters.category else sum(counts.values())
    return Catalogue(page, total, counts)


def related_to(course: Course) -> list[Course]:
    """Return up to three other courses on sale in the same category, newest first."""
    same = Course.objects.on_sale().filtered(category=course.category).exclude(pk=course.pk)
    return list(same.for_cards()[:RELATED_COURSES])


def _offered(value: str, values: list[str]) -> str:
    return value if value in values else ""


def _count_by_category(courses: CourseQuerySet) -> dict[str, int]:
    rows = courses.order_by().values("category").annotate(courses=Count("pk"))
    return {row["category"]: row["courses"] for row in rows}
