"""The link builder: an affiliate's link to every course on sale, and what a sale of it earns."""

from typing import Any

from affiliates.models import Affiliate
from courses.models import Course
from maaledu.money import Money, share
from maaledu.paging import Page, paginate


def build(affiliate: Affiliate, *, query: str = "", cursor: str = "") -> Page:
    """Return a page of links to the courses on sale with every word of `query`, newest first.

    Raises BadCursor.
    """
    page = paginate(Course.objects.on_sale().search(query).for_cards(), cursor=cursor)
    links = [_link(affiliate, course) for course in page.rows]
    return Page(links, page.next_cursor, page.has_more)


def _link(affiliate: Affiliate, course: Course) -> dict[str, Any]:
    """A free course earns nothing (decisions: commission), but its link works and is counted."""
    earned = share(course.price, affiliate.rate_basis_points)
    return {
        "course": course,
        "url": affiliate.link_to(course.slug),
        "earns": Money(earned, course.currency) if earned else "",
    }
