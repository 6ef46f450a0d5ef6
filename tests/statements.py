"""Counts what is asked of the database, on every engine alike: statements without the begin and end
of transactions.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.test.utils import CaptureQueriesContext

TRANSACTION_MARKS = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "session.")


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect the statements of the block; the list is filled when the block ends."""
    found: list[str] = []
    with CaptureQueriesContext(connection) as captured:
        yield found
    found.extend(
        q["sql"] for q in captured.captured_queries if not q["sql"].startswith(TRANSACTION_MARKS)
    )
