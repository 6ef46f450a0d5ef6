"""Find code that stands in two places: six lines or more that are alike."""

import ast
from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations
from typing import NamedTuple

from tests.architecture import Module
from tests.status_writes import all_nodes

SHORTEST = 6


class Place(NamedTuple):
    module: str
    line: int


Pair = tuple[Place, Place]
Line = tuple[Place, str]


def duplicates(modules: Iterable[Module]) -> list[Pair]:
    """Return where two runs of SHORTEST lines or more begin to be alike."""
    windows: dict[tuple[str, ...], list[Place]] = defaultdict(list)
    before: dict[Place, Place] = {}
    for module in modules:
        lines = code_lines(module)
        for start in range(len(lines) - SHORTEST + 1):
            window = lines[start : start + SHORTEST]
            windows[tuple(text for _, text in window)].append(window[0][0])
            before[window[0][0]] = lines[start - 1][0]
    pairs = {pair for places in windows.values() for pair in combinations(places, 2)}
    # Every line of a longer run begins a window: only its first one is reported.
    return sorted((a, b) for a, b in pairs if (before[a], before[b]) not in pairs)


def code_lines(module: Module) -> list[Line]:
    """Return the lines with code: no imports, comments, docstrings and blank lines."""
    skipped = {number for node in all_nodes(module.tree) for number in _lines_without_code(node)}
    return [
        (Place(module.name, number), text)
        for number, raw in enumerate(module.source.splitlines(), start=1)
        if number not in skipped and (text := raw.strip()) and not text.startswith("#")
    ]


def _lines_without_code(node: ast.AST) -> range:
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    if is_docstring or isinstance(node, ast.Import | ast.ImportFrom):
        return range(node.lineno, (node.end_lineno or node.lineno) + 1)
    return range(0)
