"""One statement for a few rows of many tables: the office's first page is read in eight at most."""

from typing import Any

from django.db import connection
from django.db.models import QuerySet


def first_rows(rows: QuerySet[Any], most: int) -> QuerySet[Any]:
    """Return the first rows as a part of a UNION, where SQLite takes no LIMIT."""
    if connection.features.supports_slicing_ordering_in_compound:
        return rows[:most]
    return rows.model._base_manager.filter(pk__in=rows.values("pk")[:most]).order_by()


def joined(parts: list[QuerySet[Any]]) -> list[Any]:
    """Return the rows of all parts, which have columns of the same kinds, in one statement."""
    return list(parts[0].union(*parts[1:], all=True))
