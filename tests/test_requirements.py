"""The page of requirements is whole: every one of them is on it, with tests that exist."""

import ast
import re
from functools import cache
from itertools import chain

from tests.architecture import ROOT

PAGE = ROOT / "docs" / "requirements.md"
# First and last of each stretch that the product covers so far.
COVERED = [
    (1, 43),
    (45, 97),
    (101, 110),
    (113, 113),
    (117, 131),
    (133, 135),
    (137, 145),
    (148, 148),
    (158, 158),
    (161, 161),
    (164, 179),
    (181, 181),
    (190, 190),
    (198, 198),
    (202, 204),
    (207, 217),
]
ROW = re.compile(r"\| R(\d{3}) \| ([^|]+) \| ([^|]+) \|")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def rows() -> dict[int, tuple[str, list[tuple[str, str]]]]:
    """Return what the page says of each requirement, and the tests (file, name) it names for it."""
    found = [
        ROW.fullmatch(line) for line in PAGE.read_text().splitlines() if line.startswith("| R")
    ]
    assert None not in found
    pairs = [(int(row[1]), (row[2], TEST.findall(row[3]))) for row in found if row]
    assert len({number for number, _ in pairs}) == len(pairs)
    return dict(pairs)


@cache
def names_in(path: str) -> set[str]:
    """Return the names of the tests that a file really has: functions that pytest would collect and
    that are not skipped.
    """
    tree = ast.parse((ROOT / path).read_text())
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and not _is_skipped(node)
    }


def _is_skipped(node: ast.FunctionDef) -> bool:
    return any(
        re.search(r"\bskip\b|\bxfail\b", ast.unparse(decorator))
        for decorator in node.decorator_list
    )


def test_every_requirement_has_its_row() -> None:
    assert sorted(rows()) == list(
        chain.from_iterable(range(first, last + 1) for first, last in COVERED)
    )


def test_every_row_names_a_test_and_nothing_else() -> None:
    for number, (meaning, named) in rows().items():
        assert named, number
        assert len(meaning) > 15, number
    cells = [line.split("|")[3] for line in PAGE.read_text().splitlines() if line.startswith("| R")]
    assert [cell for cell in cells if TEST.sub("", cell).replace("<br>", "").strip()] == []


def test_every_test_that_is_named_exists() -> None:
    named = {test for _, tests in rows().values() for test in tests}
    assert sorted(f"{path}::{name}" for path, name in named if name not in names_in(path)) == []


def test_control_a_missing_and_a_skipped_test_are_noticed() -> None:
    assert "test_every_requirement_has_its_row" in names_in("tests/test_requirements.py")
    assert "test_no_such_thing" not in names_in("tests/test_requirements.py")
    skipped = ast.parse(
        "@pytest.mark.skip\ndef test_x(): pass\n@pytest.mark.xfail(strict=True)\ndef test_y(): pass"
    ).body
    assert all(_is_skipped(node) for node in skipped if isinstance(node, ast.FunctionDef))
