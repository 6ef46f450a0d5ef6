"""The link builder: an affiliate's own link to every course on sale, and what a sale of it
earns.
"""

from dataclasses import dataclass

from affiliates.models import Affiliate
from courses.models import Course
from courses.searching import clean_query
from maaledu.money import format_money, share
from maaledu.paging import paginate


@dataclass(frozen=True)
class CourseLink:
    course: Course
    url: str
    earns: str


@dataclass(frozen=True)
class Shelf:
    """One page of links; `query` is what was searched for, as it was understood."""

    query: str
    links: list[CourseLink]
    next_cursor: str


def build(affiliate: Affiliate, *, query: str = "", cursor: str = "") -> Shelf:
    """Return the links to the courses on sale that contain every word of `query`, newest first.
    Raises BadCursor.
    """
    words = clean_query(query)
    page = paginate(Course.objects.on_sale().search(words).for_cards(), cursor=cursor)
    return Shelf(words, [_link(affiliate, course) for course in page.rows], page.next_cursor)


def _link(affiliate: Affiliate, course: Course) -> CourseLink:
    """A free course earns nothing (decisions: commission), but its link works and is counted."""
    earned = share(course.price, affiliate.rate_basis_points)
    return CourseLink(
        course,
        affiliate.link_to(course.slug),
        format_money(earned, course.currency) if earned else "",
    )
