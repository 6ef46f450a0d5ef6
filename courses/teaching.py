"""The courses that name a person: they follow when the person's profile gets another name."""

from dataclasses import replace

from courses.models import Course
from courses.outline import Instructor, rows_of
from maaledu.db import atomic


def naming(name: str) -> list[Course]:
    """Return the courses that name a person exactly so, by their titles."""
    found = Course.objects.search(name).order_by("title")
    return [course for course in found if _names(course, name)]


@atomic
def rename(before: str, after: str) -> list[Course]:
    """Write a person's new name into the courses that name them, and return those."""
    return [course for course in naming(before) if _rename(course, before, after)]


def _rename(course: Course, before: str, after: str) -> bool:
    fresh = Course.objects.get(pk=course.pk)
    people: dict[str, Instructor] = {}
    for each in fresh.instructor_list:
        name = after if each.name == before else each.name
        people.setdefault(name, replace(each, name=name))  # who was named by both is named once
    if not _names(fresh, before):
        return False
    fresh.instructors = rows_of(list(people.values()))
    fresh.save(update_fields=["instructors"])
    return True


def _names(course: Course, name: str) -> bool:
    return any(each.name == name for each in course.instructor_list)
