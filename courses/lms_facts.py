"""What the LMS says of a course: kept beside what staff wrote, compared with it, and taken over.

What staff wrote is what buyers read, and only a decision of staff replaces it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone

from courses.errors import FactRefused, FactsChanged
from courses.facts_of_lms import LMS_FACTS
from courses.models import Course
from courses.outline import Instructor, rows_of
from courses.searching import fold
from maaledu.db import atomic

TITLE, INSTRUCTORS, LESSONS, PUBLISHED = "title", "instructors", "lessons", "published"
OBSTACLES = "obstacles"
TAKEABLE = (TITLE, INSTRUCTORS)
LONGEST_TITLE, LONGEST_IMAGE, LONGEST_MODIFIED = 255, 500, 40


@dataclass(frozen=True)
class Said:
    """What an LMS says of a course now; what it does not say is empty, or None."""

    title: str
    published: bool
    instructors: Sequence[str] = ()
    image: str = ""
    lessons: int | None = None
    modified: str = ""
    obstacles: Sequence[str] = ()  # why nobody could be enrolled, though it is published


@dataclass(frozen=True)
class Difference:
    fact: str
    sentence: str


def keep(course: Course, said: Said) -> bool:
    """Keep what the LMS says, unless staff have made it another course there meanwhile.

    Returns whether it was kept. Nothing that staff wrote changes, so the public pages do not
    either.
    """
    now = timezone.now()
    same = Course.objects.filter(
        pk=course.pk, lms_platform=course.lms_platform, lms_course_id=course.lms_course_id
    )
    is_kept = same.update(
        lms_title=said.title[:LONGEST_TITLE],
        lms_instructors="\n".join(filter(None, map(str.strip, said.instructors))),
        lms_image=said.image[:LONGEST_IMAGE],
        lms_lessons=said.lessons,
        lms_modified=said.modified[:LONGEST_MODIFIED],
        lms_published=said.published,
        lms_obstacles="\n".join(said.obstacles),
        lms_facts_at=now,
        lms_facts_of=course.name_of_facts,
        lms_unknown_of="",
        lms_facts_due_at=now + settings.LMS_COURSE_FACTS_EVERY,
    )
    if is_kept:
        course.refresh_from_db(fields=[*LMS_FACTS, "lms_facts_due_at"])
    return is_kept == 1


def note_unknown(course: Course) -> None:
    """Keep that the LMS does not have the course; what it said of it before stays to be read."""
    same = Course.objects.filter(
        pk=course.pk, lms_platform=course.lms_platform, lms_course_id=course.lms_course_id
    )
    same.update(lms_unknown_of=course.name_of_facts)


def ask_again(course: Course) -> bool:
    """Have the worker ask the LMS about the course at its next look."""
    ask_again_at(course, timezone.now())
    return True


def ask_again_at(course: Course, moment: datetime) -> None:
    Course.objects.filter(pk=course.pk).update(lms_facts_due_at=moment)


def differences(course: Course) -> list[Difference]:
    """Return what the LMS says otherwise than we do, in words for staff; none before it was asked.

    The role that staff write after the name of an instructor is ours, and no difference.
    """
    if course.lms_facts_at is None:
        return []
    sentences = {
        TITLE: _title(course),
        INSTRUCTORS: _instructors(course),
        LESSONS: _lessons(course),
        PUBLISHED: ""
        if course.lms_published is not False
        else "The LMS does not show it to its learners: it is not published there.",
        OBSTACLES: course.why_none_enrolled,
    }
    return [Difference(fact, sentence) for fact, sentence in sentences.items() if sentence]


def _title(course: Course) -> str:
    if not course.lms_title or fold(course.lms_title) == fold(course.title):
        return ""
    return f"The LMS calls it “{course.lms_title}”, we call it “{course.title}”."


def _instructors(course: Course) -> str:
    theirs, ours = course.lms_instructors.splitlines(), _names(course)
    if not theirs or {fold(name) for name in theirs} == {fold(name) for name in ours}:
        return ""
    here = f"we name {_listed(ours)}" if ours else "we name nobody"
    return f"The LMS names as instructors {_listed(theirs)}; {here}."


def _lessons(course: Course) -> str:
    ours = sum(len(module.lessons) for module in course.modules)
    if not course.lms_lessons or not ours or ours == course.lms_lessons:
        return ""
    return f"The LMS counts {course.lms_lessons} lessons, our syllabus lists {ours}."


def _names(course: Course) -> list[str]:
    return [instructor.name for instructor in course.instructor_list]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def takeable(course: Course) -> list[Difference]:
    return [each for each in differences(course) if each.fact in TAKEABLE]


def seen_now(course: Course) -> str:
    """Return a digest of what both say, by which a form knows that neither has changed since."""
    ours = (course.title, *map(str, course.instructor_list))
    both = (*ours, course.lms_title, course.lms_instructors)
    return hashlib.sha256("\0".join(both).encode()).hexdigest()


@atomic
def take_over(course: Course, *, facts: Sequence[str], seen: str) -> list[str]:
    """Write what the LMS says over what we say of these facts, and return them in words.

    `seen` is the digest of what was looked at. Raises FactsChanged where either has changed since,
    and FactRefused where the LMS's words cannot be ours.
    """
    # The row is written first, so that whoever changes it meanwhile waits, or is met here.
    Course.objects.filter(pk=course.pk).update(updated_at=timezone.now())
    fresh = Course.objects.get(pk=course.pk)
    wanted = [each.fact for each in takeable(fresh) if each.fact in facts]
    if seen != seen_now(fresh) or not wanted:
        raise FactsChanged
    if TITLE in wanted:
        fresh.title = fresh.lms_title
    if INSTRUCTORS in wanted:
        fresh.instructors = _with_our_roles(fresh)
    try:
        fresh.full_clean(exclude=[*LMS_FACTS, "slug", "status"])
    except ValidationError as error:
        raise FactRefused(f"It cannot be taken over: {' '.join(error.messages)}") from error
    fresh.save(update_fields=wanted)
    words = {TITLE: fresh.title, INSTRUCTORS: _listed(list(map(str, fresh.instructor_list)))}
    return [f"{fact} “{words[fact]}”" for fact in wanted]


def _with_our_roles(course: Course) -> list[dict[str, str]]:
    """Return the LMS's instructors as rows of ours, each with the role that staff gave them."""
    roles = {fold(known.name): known.role for known in course.instructor_list}
    names = dict.fromkeys(course.lms_instructors.splitlines())
    return rows_of([Instructor(name, roles.get(fold(name), "")) for name in names])
