"""Stripe's list pages, newest first, by cursor, with a ``created`` filter; and single objects."""

from __future__ import annotations

import operator
from collections.abc import Callable
from itertools import islice
from typing import Any

from sandbox.stripe_errors import missing
from sandbox.stripe_params import fields, list_of, text

Record = dict[str, Any]
EXPAND_ONLY = fields({"expand": list_of(text())})
COMPARE = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}


def find(records: dict[str, Record], name: str, kind: str, param: str = "id") -> Record:
    """Return an object of these records. Raises StripeRefusal, a 404, when it is not there."""
    if name not in records:
        raise missing(kind, name, param, 404)
    return records[name]


def listing(
    records: dict[str, Record], url: str, query: Record, fits: Callable[[Record], bool]
) -> Record:
    """Return one page of records that are in order of creation."""
    for cursor in ("starting_after", "ending_before"):
        if cursor in query and query[cursor] not in records:
            raise missing("object", query[cursor], cursor, 400)
    limit = query.get("limit", 10)
    ids = list(records) if "ending_before" in query else list(reversed(records))
    cursor_id = query.get("starting_after") or query.get("ending_before")
    after = ids[ids.index(cursor_id) + 1 :] if cursor_id else ids
    wanted = (
        records[name] for name in after if _in_time(records[name], query) and fits(records[name])
    )
    found = list(islice(wanted, limit + 1))
    data = found[:limit]
    return {
        "object": "list",
        "data": data[::-1] if "ending_before" in query else data,
        "has_more": len(found) > limit,
        "url": url,
    }


def _in_time(item: Record, query: Record) -> bool:
    return all(
        COMPARE[name](item["created"], bound) for name, bound in query.get("created", {}).items()
    )
