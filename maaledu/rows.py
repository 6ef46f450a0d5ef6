"""Process many rows, where one that fails is skipped and named in the end."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from maaledu import tracing
from maaledu.errors import AppError

logger = logging.getLogger(__name__)

MOST_UNANSWERED = 3
MOST_NAMED = 20


class RowsFailed(AppError):
    code = "ROWS_FAILED"
    message = "Some rows could not be worked on."


def for_each_row(
    rows: Iterable[Any],
    do: Callable[[Any], int],
    *,
    outage: type[AppError] | tuple[type[AppError], ...] = (),
) -> int:
    """Call `do` for one row after the other, and return the sum of what it returned.

    A row that fails is logged with its traceback, and the others are still processed; in the end
    RowsFailed names those that failed. After three rows in succession that fail with `outage` the
    rest is left for the next call without an error, because the service asked is down.
    """
    done, unanswered, failed = 0, 0, []
    for row in rows:
        try:
            done += do(row)
            unanswered = 0
        except outage as error:
            unanswered += 1
            logger.warning("no answer", extra={"row": _name(row), "code": error.code})
            if unanswered == MOST_UNANSWERED:
                break
        except Exception:
            logger.exception("row failed", extra={"row": _name(row)})
            failed.append(_name(row))
        finally:
            tracing.follow("")  # the next row is another purchase's
    if failed:
        raise RowsFailed(f"{len(failed)} could not be worked on: {', '.join(failed[:MOST_NAMED])}.")
    return done


def _name(row: Any) -> str:
    """Return a row's kind and key, or the id of an object that a service sent."""
    return str(row.get("id", "")) if isinstance(row, dict) else f"{row._meta.verbose_name} {row.pk}"
