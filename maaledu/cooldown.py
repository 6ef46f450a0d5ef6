"""For how long this process asks nothing of a Redis that has failed (maaledu.cache).

Apart from the cache, so that a process without Redis need not load its client.
"""

import time

LEAVE_ALONE_SECONDS = 3.0


class Cooldown:
    """Until when this process does not ask a lost Redis."""

    until = 0.0


def begin() -> None:
    Cooldown.until = time.monotonic() + LEAVE_ALONE_SECONDS


def is_lost() -> bool:
    """Return whether Redis has failed within the last LEAVE_ALONE_SECONDS, also by being full."""
    return time.monotonic() < Cooldown.until
