"""Read a list of learners: a CSV of e-mail and name, each line judged before anybody is enrolled.

The file is what spreadsheets write: UTF-8, separated by comma, semicolon or tab, with or without a
first line that names the columns.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace

from django.conf import settings
from django.core.exceptions import ValidationError

from accounts.emails import normalize_email
from courses.models import Course
from enrollments.errors import BatchUnreadable
from enrollments.models import BatchRow, Enrollment
from maaledu.names import ControlCharacters, clean_name
from maaledu.storable import storable

NAMES_OF_EMAIL = {"email", "e-mail", "mail", "e-mail address", "email address"}
NAMES_OF_NAME = {"name", "full name", "full_name", "learner"}
SEPARATORS = ",;\t"
MAX_EMAIL, MAX_NAME = 254, 140
ASKED_AT_ONCE = 500
LARGEST_FILE = 2 * 1024 * 1024


@dataclass(frozen=True)
class Line:
    """One line of the file, with the reason why its learner cannot be enrolled, if any."""

    number: int
    email: str
    name: str
    problem: str = ""

    @property
    def problem_text(self) -> str:
        return dict(BatchRow.PROBLEMS).get(self.problem, "")


def read(data: bytes) -> list[Line]:
    """Return the lines of the file in the normal form, each that has a problem with it.

    Empty lines are left out; the numbers are those that an editor shows. Raises BatchUnreadable.
    """
    if len(data) > LARGEST_FILE:
        raise BatchUnreadable("The file is larger than 2 MB.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BatchUnreadable("Save the file as CSV in UTF-8, please.") from error
    lines = _unique(_lines(text))
    if not lines:
        raise BatchUnreadable("The file names nobody.")
    if len(lines) > settings.BATCH_MOST_ROWS:
        raise BatchUnreadable(
            f"The file has {len(lines)} learners; at most {settings.BATCH_MOST_ROWS} are enrolled"
            " at once. Split it, please."
        )
    return lines


def judge(lines: list[Line], course: Course) -> list[Line]:
    """Return the lines with those marked that are enrolled, or in a checkout, as things are now."""
    running: dict[str, str] = {}
    asked = [line.email for line in lines if not line.problem]
    for first in range(0, len(asked), ASKED_AT_ONCE):
        some = asked[first : first + ASKED_AT_ONCE]
        live = Enrollment.objects.live().filter(course=course, email__in=some)
        running.update(live.values_list("email", "status"))
    return [
        replace(line, problem=problem_of(running[line.email]))
        if not line.problem and line.email in running
        else line
        for line in lines
    ]


def problem_of(status: str) -> str:
    """Return why a learner with a live enrollment of this status is not enrolled by a batch."""
    return BatchRow.ENROLLED if status == Enrollment.PAID else BatchRow.IN_CHECKOUT


def _lines(text: str) -> Iterator[Line]:
    first = text.lstrip().partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(SEPARATORS, key=first.count))
    email_at, name_at, is_first = 0, 1, True
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            named = [cell.strip().lower() for cell in cells]
            if is_first and NAMES_OF_EMAIL & set(named):
                email_at, name_at = _columns(named)
            else:
                yield _line(reader.line_num, _cell(cells, email_at), _cell(cells, name_at))
            is_first = False
    except csv.Error as error:
        raise BatchUnreadable(f"Line {reader.line_num} is no line of a CSV file.") from error


def _columns(named: list[str]) -> tuple[int, int]:
    email_at = next(at for at, name in enumerate(named) if name in NAMES_OF_EMAIL)
    return email_at, next((at for at, name in enumerate(named) if name in NAMES_OF_NAME), -1)


def _cell(cells: list[str], at: int) -> str:
    return cells[at].strip() if 0 <= at < len(cells) else ""


def _line(number: int, email: str, name: str) -> Line:
    try:
        address, problem = normalize_email(email), ""
    except ValidationError:
        address, problem = email, BatchRow.ADDRESS
    try:
        name = clean_name(name)
    except ControlCharacters:
        problem = problem or BatchRow.NAME
    if not problem and len(name) > MAX_NAME:
        problem = BatchRow.NAME
    shown = storable([address[:MAX_EMAIL], name[:MAX_NAME]])[0]
    return Line(number, shown[0], shown[1], problem)


def _unique(lines: Iterator[Line]) -> list[Line]:
    """Return the lines; of several with one address the first one without a problem counts."""
    seen: set[str] = set()
    found: list[Line] = []
    for line in lines:
        is_again = not line.problem and line.email in seen
        found.append(replace(line, problem=BatchRow.DUPLICATE) if is_again else line)
        if not line.problem:
            seen.add(line.email)
    return found
