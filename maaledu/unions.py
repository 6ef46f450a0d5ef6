"""Rows of several tables in one statement, each table bounded, and found by how a text begins."""

from collections.abc import Mapping
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet

# Of an index that PostgreSQL can enter by how a text begins.
BEGINS = ["varchar_pattern_ops"]
LAST = "\U0010ffff"


def branch(found: QuerySet[Any, Any], columns: Mapping[str, Any], most: int) -> QuerySet[Any, Any]:
    """Return one branch of a union: the first `most` of these rows, as these columns."""
    if connection.features.supports_slicing_ordering_in_compound:
        return found.annotate(**columns).values_list(*columns)[:most]
    # SQLite takes a bound within a union in a subquery alone.
    first = found.model._default_manager.filter(pk__in=found.values("pk")[:most])
    return first.order_by().annotate(**columns).values_list(*columns)


def starting_with(column: str, text: str) -> Q:
    """Match the rows whose column begins with a text, in its case, by an index of the column.

    On PostgreSQL that is an index with `BEGINS`. The other two compare by code points,
    and look only at what lies between two texts.
    """
    if connection.vendor == "postgresql":
        return Q(**{f"{column}__startswith": text})
    return Q(**{f"{column}__gte": text, f"{column}__lt": text + LAST})
