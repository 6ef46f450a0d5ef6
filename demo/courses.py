"""The catalogue of the demo: 24 courses in six categories, of which the shop sells 22.

One is a draft, and one is archived.
"""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from courses import lms_facts
from courses.lms_facts import Said
from courses.models import Course, connected_platforms
from courses.pictures import face_of
from courses.profiles import InstructorProfile
from courses.publishing import archive, publish
from demo import portraits

MOVES: dict[str, Callable[[Course], bool]] = {
    Course.Status.PUBLISHED: publish,
    Course.Status.ARCHIVED: archive,
}
PEOPLE = Path(__file__).with_name("demo_people.json")
DATA = Path(__file__).with_name("demo_courses.json")


def seed_courses() -> int:
    """Ensure that every demo course exists with the texts of the file; return how many there are.

    Safe to run twice: a course is found by its slug, and what staff have since published or
    archived stays so.
    """
    entries = json.loads(DATA.read_text(encoding="utf-8"))
    # The first in the file is made last, because the catalogue shows the newest first.
    for entry in reversed(entries):
        _ensure(entry.pop("slug"), entry.pop("status", Course.Status.PUBLISHED), _fields(entry))
    return len(entries)


def seed_people() -> None:
    """Ensure that everybody who teaches has a biography, a link and a drawn portrait."""
    for entry in json.loads(PEOPLE.read_text(encoding="utf-8")):
        profile, made = InstructorProfile.objects.get_or_create(
            name=entry["name"], defaults={"biography": entry["biography"], "link": entry["link"]}
        )
        if made:
            face = BytesIO(portraits.draw(profile.name, entry["look"]))
            square = face_of(face, size=len(face.getvalue()))
            profile.face.save(str(square.name), square)


def _ensure(slug: str, status: str, fields: dict[str, Any]) -> None:
    if status == Course.Status.PUBLISHED:
        fields = _on_a_connected_platform(fields)
    course, _ = Course.objects.get_or_create(slug=slug, defaults=fields)
    for name, value in fields.items():
        setattr(course, name, value)
    course.full_clean()
    course.save()
    if course.status == Course.Status.DRAFT and status in MOVES:
        # The sandbox's LMS has each course of the file; the worker asks it soon.
        lms_facts.keep(course, Said(course.title, published=True))
        lms_facts.ask_again(course)
        MOVES[status](course)


def _on_a_connected_platform(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields with Frappe LMS instead of a platform that nothing connects us to."""
    if fields.get("lms_platform", Course.Platform.FRAPPE) in connected_platforms():
        return fields
    return {**fields, "lms_platform": Course.Platform.FRAPPE, "lms_course_id": ""}


def _fields(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the model's fields; the file holds texts as lists of paragraphs."""
    modules = entry["modules"].items()
    return {
        **{name: value for name, value in entry.items() if name not in ("modules", "sample")},
        "sample_title": entry["sample"]["title"],
        "sample_text": "\n\n".join(entry["sample"]["text"]),
        "description": "\n\n".join(entry["description"]),
        "syllabus": [{"title": title, "lessons": lessons} for title, lessons in modules],
    }
