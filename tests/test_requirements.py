"""The page of requirements is whole: each has its row and state, and what is done has its tests."""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache

import pytest

from tests.architecture import ROOT

pytestmark = pytest.mark.no_database

PAGE = ROOT / "docs" / "requirements.md"
LAST = 229
DONE, PARTLY, OPEN = "done", "partly", "open"
# Whoever finishes one of these takes it out here and corrects its row.
PARTLY_DONE: set[int] = set()
NOT_BEGUN = {
    99,
}  # fmt: skip
COUNTS = re.compile(r"\*\*(\d+) done, (\d+) partly, (\d+) open\.\*\*")
ROW = re.compile(r"\| R(\d{3}) \| (done|partly|open) \| ([^|]+) \| ([^|]+) \|")
MISSING = re.compile(r".+ \*\*Missing:\*\* .+ \(([\w ]+)\)")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
NO_TEST = "-"
# A function with the lines of its decorators, read as text: to parse every file takes seconds.
DEFINED = re.compile(r"^((?:[@ )\]}].*\n)*)def (\w+)\(", re.MULTILINE)
SKIPPED = re.compile(r"\bskip\b|\bxfail\b")


@dataclass(frozen=True)
class Row:
    number: int
    state: str
    here: str
    tests: str

    @property
    def named(self) -> list[tuple[str, str]]:
        """Return file and name of each test."""
        return TEST.findall(self.tests)


@cache
def rows() -> list[Row]:
    """Return the page's rows. A line that begins like one and cannot be read as one is an error."""
    found = [(line, ROW.fullmatch(line)) for line in _lines() if line.startswith("| R")]
    assert [line for line, match in found if match is None] == []
    return [Row(int(match[1]), match[2], match[3], match[4]) for _, match in found if match]


def in_state(state: str) -> set[int]:
    return {row.number for row in rows() if row.state == state}


def _lines() -> list[str]:
    return PAGE.read_text().splitlines()


def names_in(path: str) -> set[str]:
    """Return the names of a file's tests: functions that pytest collects and does not skip."""
    return {name for name, is_skipped in _functions((ROOT / path).read_text()) if not is_skipped}


def _functions(source: str) -> list[tuple[str, bool]]:
    """Return the name of each function and whether its decorators, which stand right above it,
    leave it out.
    """
    return [
        (name, bool(SKIPPED.search(decorators))) for decorators, name in DEFINED.findall(source)
    ]


def test_every_requirement_has_one_row_in_its_place() -> None:
    assert [row.number for row in rows()] == list(range(1, LAST + 1))


def test_what_is_open_or_partly_done_is_written_down_here_too() -> None:
    assert (in_state(PARTLY), in_state(OPEN)) == (PARTLY_DONE, NOT_BEGUN)


def test_the_page_counts_its_rows() -> None:
    [counted] = [match.groups() for line in _lines() if (match := COUNTS.match(line))]
    states = Counter(row.state for row in rows())
    assert [int(number) for number in counted] == [states[DONE], states[PARTLY], states[OPEN]]


def test_every_row_says_in_words_what_there_is() -> None:
    assert [row.number for row in rows() if len(row.here) <= 15] == []


def test_only_what_is_not_done_says_what_is_missing_and_what_brings_it() -> None:
    said = {row.number: MISSING.fullmatch(row.here) for row in rows()}
    assert {number for number, match in said.items() if match} == PARTLY_DONE | NOT_BEGUN
    assert [row.number for row in rows() if row.state == DONE and "Missing" in row.here] == []
    assert {match[1] for match in said.values() if match} == {"not planned"}


def test_what_is_done_names_tests_and_what_is_open_names_none() -> None:
    assert {row.number for row in rows() if row.tests == NO_TEST} == NOT_BEGUN
    named = [row for row in rows() if row.number not in NOT_BEGUN]
    assert [row.number for row in named if not row.named] == []
    assert [row.number for row in named if TEST.sub("", row.tests).replace("<br>", "")] == []
    assert [row.number for row in named if len(set(row.named)) < len(row.named)] == []


def test_every_test_that_is_named_exists() -> None:
    named = {test for row in rows() for test in row.named}
    there = {path: names_in(path) for path, _ in named}
    assert sorted(f"{path}::{name}" for path, name in named if name not in there[path]) == []


def test_control_a_missing_and_a_skipped_test_are_noticed() -> None:
    assert "test_every_test_that_is_named_exists" in names_in("tests/test_requirements.py")
    assert "test_no_such_thing" not in names_in("tests/test_requirements.py")
    skip = "@pytest.mark.skip\ndef test_x(): pass\n"
    xfail = "@pytest.mark.xfail(strict=True)\ndef test_y(): pass\n"
    several = "@pytest.mark.parametrize(\n    'a', [1]\n)\n@pytest.mark.slow\ndef test_z(): pass\n"
    assert _functions(skip + xfail) == [("test_x", True), ("test_y", True)]
    assert _functions(skip + several)[1:] == [("test_z", False)]


def test_control_a_row_that_says_too_little_is_noticed() -> None:
    assert MISSING.fullmatch("It is logged. **Missing:** a counter (operation)")
    assert not MISSING.fullmatch("It is logged.")
    assert not MISSING.fullmatch("It is logged. **Missing:** a counter")
    assert not MISSING.fullmatch("**Missing:** (operation)")
    assert not ROW.fullmatch("| R001 | nearly | A shop | `tests/test_suite.py::test_x` |")
