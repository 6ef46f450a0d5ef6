from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from courses.outline import (
    LONGEST,
    Instructor,
    Module,
    instructors_of,
    modules_of,
    validate_instructors,
    validate_outcomes,
    validate_syllabus,
)

pytestmark = pytest.mark.no_database


def refusal(validate: Callable[[Any], None], rows: Any) -> str:
    try:
        validate(rows)
    except ValidationError as error:
        return error.messages[0]
    return ""


def test_rows_are_read_as_modules_and_people():
    rows = [{"title": "First", "lessons": ["a", "- b"]}, {"title": "Second", "lessons": []}]
    assert modules_of(rows) == [Module("First", ["a", "- b"]), Module("Second", [])]
    people = [{"name": "Amina — Haddad", "role": "Analyst"}, {"name": "Solo", "role": ""}]
    assert instructors_of(people) == [Instructor("Amina — Haddad", "Analyst"), Instructor("Solo")]
    assert list(map(str, instructors_of(people))) == ["Amina — Haddad (Analyst)", "Solo"]


def test_what_is_no_list_of_whole_rows_is_refused_with_its_place():
    long, lesson = "x" * (LONGEST + 1), {"title": "A", "lessons": ["b"]}
    cases = [
        (validate_outcomes, ["x" * LONGEST] * 20, ""),
        (validate_outcomes, "One", "Enter a list of outcomes."),
        (validate_outcomes, ["x"] * 21, "At most 20 outcomes."),
        (validate_outcomes, ["a", " "], "Outcome 2 is missing."),
        (validate_outcomes, ["a", None], "Outcome 2 is missing."),
        (validate_outcomes, [long], "Outcome 1 has more than 200 characters."),
        (validate_syllabus, [lesson] * 30, ""),
        (validate_syllabus, [lesson] * 31, "At most 30 modules."),
        (validate_syllabus, [{"title": "A"}], "Each row has lessons and title."),
        (validate_syllabus, [{"title": "", "lessons": ["b"]}], "The title of module 1 is missing."),
        (validate_syllabus, [{"title": "A", "lessons": "b"}], "Enter a list of lessons."),
        (validate_syllabus, [lesson, {**lesson, "lessons": ["b", ""]}],
         "Lesson 2 of module 2 is missing."),
        (validate_syllabus, [{**lesson, "lessons": ["b"] * 101}] * 2, "At most 200 lessons."),
        (validate_instructors, [{"name": "A", "role": ""}], ""),
        (validate_instructors, [{"name": "", "role": "B"}],
         "The name of instructor 1 is missing."),
        (validate_instructors, [{"name": "A", "role": long}],
         "The role of instructor 1 has more than 200 characters."),
        (validate_instructors, ["A"], "Each row has name and role."),
        (validate_instructors, [{"name": "A", "role": ""}, {"name": "A", "role": "B"}],
         "Somebody is named twice."),
    ]  # fmt: skip
    found = [refusal(validate, rows) for validate, rows, _ in cases]
    assert found == [sentence for *_, sentence in cases]
