"""How the checks read: in batches, and twice where the shop goes on meanwhile."""

import functools
from collections.abc import Callable
from datetime import timedelta

Check = Callable[[], list[str]]
GRACE = timedelta(hours=1)
BATCH = 500


def confirmed(check: Check) -> Check:
    """Have a check report only what it finds twice.

    The shop goes on while it reads table after table, so that one look may see a payment without
    the refund that was written a moment later.
    """

    @functools.wraps(check)
    def checked() -> list[str]:
        found = check()
        still = set(check()) if found else set()
        return [line for line in found if line in still]

    return checked
