"""Stripe's list pages, newest first, by cursor, with a ``created`` filter; and single objects by
id.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from itertools import islice
from typing import Any

from sandbox.stripe_errors import missing

Record = dict[str, Any]
COMPARE = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}


def find(shelf: dict[str, Record], name: str, kind: str, param: str = "id") -> Record:
    """Return an object of a shelf. Raises StripeRefusal, a 404, when it is not there."""
    if name not in shelf:
        raise missing(kind, name, param, 404)
    return shelf[name]


def listing(
    shelf: dict[str, Record], url: str, query: Record, fits: Callable[[Record], bool]
) -> Record:
    """Return one page of a shelf whose entries are in order of creation."""
    for cursor in ("starting_after", "ending_before"):
        if cursor in query and query[cursor] not in shelf:
            raise missing("object", query[cursor], cursor, 400)
    limit = query.get("limit", 10)
    ids = list(shelf) if "ending_before" in query else list(reversed(shelf))
    cursor_id = query.get("starting_after") or query.get("ending_before")
    after = ids[ids.index(cursor_id) + 1 :] if cursor_id else ids
    wanted = (shelf[name] for name in after if _in_time(shelf[name], query) and fits(shelf[name]))
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
