"""The link builder: an affiliate's link to every course on sale, and what a sale of it earns."""

from typing import Any

from affiliates.models import Affiliate
from courses.models import Course
from maaledu.money import Money, share
from maaledu.paging import Page, paginate


def build(affiliate: Affiliate, *, query: str = "", cursor: str = "", label: str = "") -> Page:
    """Return a page of links to the courses on sale with every word of `query`, newest first.

    `label`, in its clean form, is put on each of them. Raises BadCursor.
    """
    page = paginate(Course.objects.on_sale().search(query).for_cards(), cursor=cursor)
    links = [_link(affiliate, course, label) for course in page.rows]
    return Page(links, page.next_cursor, page.has_more)


def labelled(url: str, label: str) -> str:
    """Return the link with a label; without one as it is."""
    return f"{url}?via={label}" if label else url


def _link(affiliate: Affiliate, course: Course, label: str) -> dict[str, Any]:
    """A free course earns nothing (decisions: commission), but its link works and is counted."""
    earned = share(course.price, affiliate.rate_basis_points)
    return {
        "course": course,
        "url": labelled(affiliate.link_to(course.slug), label),
        "earns": Money(earned, course.currency) if earned else "",
    }
