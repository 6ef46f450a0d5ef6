"""Columns derived from a course's texts, derived again where an older release wrote them."""

from courses.models import Course
from courses.searching import FOLDING
from maaledu.public_pages import bump_public_pages

BATCH = 200


def derive_again() -> int:
    """Derive the columns of the courses that an older release saved; return how many there were.

    In batches of short writes. A course that is saved meanwhile keeps what that save derived.
    """
    done = 0
    while won := sum(map(_derive, _outdated())):
        done += won
    if done:
        bump_public_pages()
    return done


def _outdated() -> list[Course]:
    return list(Course.objects.exclude(search_folding=FOLDING).order_by("pk")[:BATCH])


def _derive(course: Course) -> bool:
    # Only with the texts just read: a save in between has derived from its own.
    read = {name: getattr(course, name) for name in Course.SEARCHED}
    course.derive()
    changed = Course.objects.filter(pk=course.pk, **read).update(
        search_text=course.search_text,
        search_folding=course.search_folding,
        cover_kept=course.cover_kept,
    )
    return changed == 1
