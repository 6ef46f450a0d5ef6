"""Which request began what is being done, so that its id can be followed through all processes.

A purchase is followed by the id of the request that began it. Every row of work that is written
takes the id along, the worker takes it up from the row, and each line of the log says it: as
`request_id`, or as `purchase` where another request goes on with what that one began.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from structlog.contextvars import (
    bind_contextvars,
    bound_contextvars,
    get_contextvars,
    unbind_contextvars,
)

HEADER = "X-Request-ID"
LONGEST_ID = 64
WELL_FORMED_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{7,63}")
OF_REQUEST, OF_PURCHASE = "request_id", "purchase"


def well_formed(candidate: object) -> str:
    """Return an id that came from outside, or "" for one that no line and no header should have."""
    is_good = isinstance(candidate, str) and WELL_FORMED_ID.fullmatch(candidate)
    return str(candidate) if is_good else ""


def current() -> str:
    """Return the id of the request that began what this thread is doing, "" where none did."""
    known = get_contextvars()
    return known.get(OF_PURCHASE) or known.get(OF_REQUEST) or ""


def follow(request_id: str) -> None:
    """Say that this thread goes on with what that request began; "" ends it."""
    if request_id in ("", get_contextvars().get(OF_REQUEST)):
        unbind_contextvars(OF_PURCHASE)
    else:
        bind_contextvars(**{OF_PURCHASE: request_id})


@contextmanager
def following(request_id: str) -> Iterator[None]:
    """Go on during the block with what that request began."""
    follow(request_id)
    try:
        yield
    finally:
        follow("")


@contextmanager
def working_on(item: str, *, request_id: str) -> Iterator[None]:
    """Be at work on an item during the block, on behalf of the request that caused it."""
    bound = {OF_REQUEST: request_id} if request_id else {}
    with bound_contextvars(work_item=item, **bound), following(request_id):
        yield
