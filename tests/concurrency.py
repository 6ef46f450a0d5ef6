"""Races for the tests: many threads that start their step at the same moment."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.admin import ModelAdmin
from django.db import connection, connections

BARRIER_SECONDS = 60
# The number of threads of every race so far: whoever looks at it before and after a test knows
# whether there was one.
races: list[int] = []


def race(step: Callable[[int], Any], *, threads: int = 8) -> list[Any]:
    """Run `step(0..threads-1)` at once, each in a thread with its own connection; return results,
    or what was raised.
    """
    races.append(threads)
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


def beside_save(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> list[Any]:
    """Run `act` once, between what an admin page has read and what it writes; return the list that
    gets what came of it.

    On a connection of its own, as another member of staff has one. SQLite lets nobody write between
    the two: there it runs on the page's own connection, which shows the same mistakes.
    """
    results: list[Any] = []
    save_form = ModelAdmin.save_form

    def rival() -> None:
        results.extend(
            race(lambda _: act(), threads=1) if connection.vendor != "sqlite" else [act()]
        )

    def slowly(page: ModelAdmin, *args: Any, **kwargs: Any) -> Any:
        if not results:
            rival()
        return save_form(page, *args, **kwargs)

    monkeypatch.setattr(ModelAdmin, "save_form", slowly)
    return results


def winners(results: list[Any]) -> int:
    """Return how many of the racers won; whoever raised makes the test fail."""
    raised = [result for result in results if isinstance(result, BaseException)]
    assert not raised, raised
    return sum(1 for result in results if result)


def kinds(results: list[Any]) -> Counter[str]:
    """Count results by what they are: the name of what was raised, or `ok`."""
    return Counter(type(r).__name__ if isinstance(r, BaseException) else "ok" for r in results)
