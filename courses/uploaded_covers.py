"""The cover that staff upload for a course, instead of the drawn one."""

from typing import IO

from django.core.files.storage import default_storage

from courses.models import Course
from courses.pictures import Cover, cover_of
from maaledu.db import atomic


def set_cover(course: Course, upload: IO[bytes], *, size: int, alt: str) -> None:
    """Show this picture as the course's cover everywhere; `alt` says what is to be seen on it.

    `size` is that of the file in bytes. Raises ValidationError for what is no fitting picture.
    """
    _write(course, cover_of(upload, size=size), alt)


@atomic
def _write(course: Course, made: Cover, alt: str) -> None:
    default_storage.save(f"covers/{made.small.name}", made.small)
    course.cover = default_storage.save(f"covers/{made.large.name}", made.large)
    course.cover_alt = alt
    course.save(update_fields=["cover", "cover_alt"])


def remove_cover(course: Course) -> bool:
    """Show the drawn cover again, and return whether there was another one."""
    if not course.cover:
        return False
    course.cover, course.cover_alt = "", ""
    course.save(update_fields=["cover", "cover_alt"])
    return True
