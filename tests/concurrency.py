"""Races for the tests: many threads that start their step at the same moment."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connections

BARRIER_SECONDS = 60


def race(step: Callable[[int], Any], *, threads: int = 8) -> list[Any]:
    """Run `step(0..threads-1)` at once, each in a thread with its own connection; return results, or what was raised."""
    barrier = threading.Barrier(threads)

    def run(number: int) -> Any:
        try:
            connections["default"].ensure_connection()
            barrier.wait(BARRIER_SECONDS)
            return step(number)
        except Exception as error:  # noqa: BLE001 the caller looks at what was raised
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


def winners(results: list[Any]) -> int:
    """Return how many of the racers won; whoever raised makes the test fail."""
    raised = [result for result in results if isinstance(result, BaseException)]
    assert not raised, raised
    return sum(1 for result in results if result)


def kinds(results: list[Any]) -> Counter[str]:
    """Count results by what they are: the name of what was raised, or `ok`."""
    return Counter(type(r).__name__ if isinstance(r, BaseException) else "ok" for r in results)
