"""What a course is made of, as rows: outcomes, modules with their lessons, and who teaches it.

They are kept as JSON: an outcome is a text, a module `{"title": …, "lessons": [texts]}`, and an
instructor `{"name": …, "role": …}`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from django.core.exceptions import ValidationError

LONGEST = 200  # characters of each text in a row
MOST_OUTCOMES, MOST_MODULES, MOST_LESSONS, MOST_INSTRUCTORS = 20, 30, 200, 20


@dataclass
class Module:
    title: str
    lessons: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Instructor:
    name: str
    role: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.role})" if self.role else self.name


def modules_of(rows: Sequence[dict[str, Any]]) -> list[Module]:
    return [Module(row["title"], row["lessons"]) for row in rows]


def instructors_of(rows: Sequence[dict[str, Any]]) -> list[Instructor]:
    return [Instructor(row["name"], row["role"]) for row in rows]


def rows_of(people: Sequence[Instructor]) -> list[dict[str, Any]]:
    return [asdict(person) for person in people]


# --- what may be kept -----------------------------------------------------------------------------
def validate_outcomes(rows: Any) -> None:
    """Raise ValidationError unless these are texts, at most twenty."""
    _require_list(rows, MOST_OUTCOMES, "outcomes")
    for number, text in enumerate(rows, 1):
        _require_text(text, f"Outcome {number}")


def validate_syllabus(rows: Any) -> None:
    """Raise ValidationError unless these are modules, each with a title, and few enough lessons."""
    _require_list(rows, MOST_MODULES, "modules")
    for number, row in enumerate(rows, 1):
        _require_row(row, {"title", "lessons"})
        _require_text(row["title"], f"The title of module {number}")
        _require_list(row["lessons"], MOST_LESSONS, "lessons")
        for place, text in enumerate(row["lessons"], 1):
            _require_text(text, f"Lesson {place} of module {number}")
    lessons = [lesson for row in rows for lesson in row["lessons"]]
    _require_list(lessons, MOST_LESSONS, "lessons")


def validate_instructors(rows: Any) -> None:
    """Raise ValidationError unless each of these has a name, maybe a role, and comes once."""
    _require_list(rows, MOST_INSTRUCTORS, "instructors")
    for number, row in enumerate(rows, 1):
        _require_row(row, {"name", "role"})
        _require_text(row["name"], f"The name of instructor {number}")
        _require_text(row["role"] or "none", f"The role of instructor {number}")
    names = [row["name"] for row in rows]
    if len(set(names)) < len(names):
        raise ValidationError("Somebody is named twice.", code="named_twice")


def _require_list(rows: Any, most: int, noun: str) -> None:
    if not isinstance(rows, list):
        raise ValidationError(f"Enter a list of {noun}.", code="invalid")
    if len(rows) > most:
        raise ValidationError(f"At most {most} {noun}.", code="too_many")


def _require_row(row: Any, names: set[str]) -> None:
    if not isinstance(row, dict) or set(row) != names:
        raise ValidationError(f"Each row has {' and '.join(sorted(names))}.", code="invalid")


def _require_text(text: Any, noun: str) -> None:
    if not isinstance(text, str) or not text.strip():
        raise ValidationError(f"{noun} is missing.", code="missing")
    if len(text) > LONGEST:
        raise ValidationError(f"{noun} has more than {LONGEST} characters.", code="too_long")
