from enum import StrEnum
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from ninja import Query

from api.errors import InvalidInput
from api.fields import Cursor, Limit
from api.operations import operation
from api.shapes import Amount, CoursePage, Shape, pager_of
from api.terms import Terms
from courses import catalogue
from courses.models import Course
from courses.pricing import PRICE_BANDS
from maaledu.paging import DEFAULT_LIMIT, BadCursor

PriceBand = StrEnum("PriceBand", {name: name for name in PRICE_BANDS})  # type: ignore[misc]


class CourseFilters(Shape):
    """As the catalogue's page offers them; each narrows the list."""

    q: str = ""
    category: Course.Category | None = None
    level: Course.Level | None = None
    price: PriceBand | None = None


@operation(
    "GET",
    "courses",
    terms=Terms(refusals=(BadCursor, InvalidInput)),
    answers={200: CoursePage},
)
def list_courses(
    request: HttpRequest,
    wanted: Query[CourseFilters],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = "",
) -> dict[str, Any]:
    """List the courses on sale, the newest first."""
    filters = catalogue.read_filters(wanted.model_dump(mode="json", exclude_none=True))
    found = catalogue.browse(filters, cursor=cursor, limit=limit)
    courses = [_item(course) for course in found.page.rows]
    return {"courses": courses, "total": found.total, **pager_of(found.page)}


def _item(course: Course) -> dict[str, Any]:
    return {
        "course_id": course.slug,
        "title": course.title,
        "summary": course.summary,
        "category": course.category,
        "level": course.level,
        "language": course.language,
        "duration_hours": course.duration_hours,
        "price": Amount.of(course.price, course.currency),
        "currency": course.currency,
        "url": settings.SITE_URL + course.get_absolute_url(),
        "cover_url": settings.SITE_URL + course.cover_url,
    }
