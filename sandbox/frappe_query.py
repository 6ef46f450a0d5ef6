"""Frappe's list queries: filters, fields, order and pages, over the documents in the book."""

from __future__ import annotations

import fnmatch
import json
import operator
from collections.abc import Callable, Iterable
from typing import Any

from sandbox.frappe_envelope import FrappeError
from sandbox.frappe_rules import CHILDREN, fields_of

Record = dict[str, Any]
Condition = tuple[str, str, Any]
PAGE_LENGTH = 20


def parse(text: str | None) -> Any:
    """Return JSON from a query argument; what cannot be read is a 500, as on the real server."""
    if text in (None, ""):
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise FrappeError(500, "JSONDecodeError", str(error)) from error


def conditions(filters: Any) -> list[Condition]:
    """Return (field, operator, value) for each filter.

    Filters are a dict, or a list of lists with or without the doctype.
    """
    if isinstance(filters, dict):
        return [
            (field, *(value if isinstance(value, list) else ("=", value)))
            for field, value in filters.items()
        ]
    found: list[Condition] = []
    for entry in filters or []:
        parts = entry[1:] if len(entry) == 4 else entry
        if entry[0] in CHILDREN:
            parts = [f"{entry[0]}.{entry[1]}", *entry[2:]]
        found.append(
            (parts[0], str(parts[1]).lower(), parts[2])
            if len(parts) == 3
            else (parts[0], "=", parts[1])
        )
    return found


def matching(
    rows: Iterable[Record], wanted: list[Condition], allowed: tuple[str, ...]
) -> list[Record]:
    for field, _, _ in wanted:
        _permit(field, allowed)
    return [
        row
        for row in rows
        if all(OPERATORS.get(op, _equal)(row.get(field), value) for field, op, value in wanted)
    ]


def select(
    rows: list[Record], fields: list[str] | None, doctype: str, version: str
) -> list[Record]:
    """Return the asked columns of each row, nulls included.

    A child column gives a row for each child.
    """
    allowed, asked = fields_of(doctype, version), fields or ["name"]
    if "*" in asked:
        asked = list(allowed)
    columns = [field for field in asked if field != "instructors" and "." not in field]
    for field in columns:
        _permit(field, allowed)
    plain = [{field: row.get(field) for field in columns} for row in rows]
    if "instructors.instructor" not in asked:
        return plain
    return [
        {**shown, "instructor": child["instructor"]}
        for row, shown in zip(rows, plain, strict=True)
        for child in row["instructors"]
    ]


def page(rows: list[Record], args: dict[str, str]) -> list[Record]:
    """Sort and cut as ``order_by``, ``limit_start`` and ``limit_page_length`` say.

    Without them, the newest 20.
    """
    field, _, direction = (args.get("order_by") or "modified desc").strip("`").partition(" ")
    ordered = sorted(
        rows,
        key=lambda row: (row.get(field) is not None, row.get(field) or 0),
        reverse=direction.strip().lower() == "desc",
    )
    start = int(args.get("limit_start") or args.get("start") or 0)
    length = int(args.get("limit_page_length") or args.get("limit") or PAGE_LENGTH)
    return ordered[start : start + length] if length else ordered[start:]


def _permit(field: str, allowed: tuple[str, ...]) -> None:
    if field not in allowed:
        raise FrappeError(417, "DataError", f"Field not permitted in query: {field}")


def _fold(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _equal(have: Any, want: Any) -> bool:
    if want is None:
        return have in (None, "")
    return _fold(have) == _fold(want) or (isinstance(have, int | float) and str(have) == str(want))


def _like(have: Any, want: Any) -> bool:
    return have is not None and fnmatch.fnmatch(
        str(have).lower(), str(want).lower().replace("%", "*")
    )


def _compare(name: str) -> Callable[[Any, Any], bool]:
    def check(have: Any, want: Any) -> bool:
        return have is not None and bool(getattr(operator, name)(have, type(have)(want)))

    return check


def _in(have: Any, want: Any) -> bool:
    options = want.split(",") if isinstance(want, str) else want
    return any(_equal(have, option) for option in options)


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": _equal,
    "!=": lambda have, want: not _equal(have, want),
    "like": _like,
    "not like": lambda have, want: not _like(have, want),
    "in": _in,
    "not in": lambda have, want: not _in(have, want),
    ">": _compare("gt"),
    ">=": _compare("ge"),
    "<": _compare("lt"),
    "<=": _compare("le"),
    "is": lambda have, want: (have not in (None, "")) == (str(want).lower() == "set"),
    "between": lambda have, want: have is not None and want[0] <= have <= want[1],
}
