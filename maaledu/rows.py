"""Going through many rows of which one may be odd: it is passed over, and named in the end."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from maaledu.errors import AppError

logger = logging.getLogger(__name__)

MOST_UNANSWERED = 3
MOST_NAMED = 20


class RowsFailed(AppError):
    code = "ROWS_FAILED"
    message = "Some rows could not be worked on."


def for_each_row(
    rows: Iterable[Any], do: Callable[[Any], int], *, outage: type[AppError] | tuple[()] = ()
) -> int:
    """Do this for one row after the other, and return the sum of what it returned.

    A row that fails is logged with its traceback and keeps no other from its turn; in the end
    RowsFailed names them all. Three rows in a row that fail with `outage` end it in peace: the
    service asked is down, and the rest waits for next time.
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
    if failed:
        raise RowsFailed(f"{len(failed)} could not be worked on: {', '.join(failed[:MOST_NAMED])}.")
    return done


def _name(row: Any) -> str:
    """Rows of ours go by their key, and what a service told us by its own id."""
    return str(row.get("id", "")) if isinstance(row, dict) else f"{row._meta.verbose_name} {row.pk}"
