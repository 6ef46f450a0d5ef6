"""A rival that runs between two lines of the product's own: just before a statement, in a thread of
its own.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, connections

SECONDS = 30


@contextmanager
def rival_before(statement: str, act: Callable[[], Any]) -> Iterator[list[Any]]:
    """Run `act` to its end, once, when this connection is about to send the first statement that
    starts so.

    Yields a list that then holds what `act` returned or raised.
    """
    results: list[Any] = []
    started = threading.Event()

    def run() -> None:
        try:
            results.append(act())
        except Exception as error:  # noqa: BLE001 the test looks at what was raised
            results.append(error)
        finally:
            connections.close_all()

    def wrapper(
        execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        if sql.startswith(statement) and not started.is_set():
            started.set()
            thread = threading.Thread(target=run)
            thread.start()
            thread.join(SECONDS)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(wrapper):
        yield results
