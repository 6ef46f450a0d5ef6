"""Few threads of a web process wait for a service that hangs; while it answers, a rush gets
through.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from maaledu import gates
from maaledu.gates import Gate, GateClosed

pytestmark = pytest.mark.no_database
PLACES = 2


class NoAnswer(Exception):
    pass


def visit(gate: Gate, call: Callable[[], object]) -> str:
    try:
        with gate.passed(PLACES, unanswered=NoAnswer):
            call()
    except (GateClosed, NoAnswer) as error:
        return type(error).__name__
    return "answered"


def fail() -> None:
    raise NoAnswer


def rush(gate: Gate, call: Callable[[], object], threads: int) -> Counter[str]:
    with ThreadPoolExecutor(threads) as pool:
        return Counter(pool.map(lambda _: visit(gate, call), range(threads)))


def test_a_rush_gets_through_while_the_service_answers_and_never_too_many_at_once() -> None:
    gate, guard, inside, most = Gate(), threading.Lock(), [0], [0]

    def call() -> None:
        with guard:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        time.sleep(0.02)
        with guard:
            inside[0] -= 1

    assert rush(gate, call, 12) == {"answered": 12}
    assert most == [PLACES]


def test_nobody_waits_for_a_service_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "STUCK_AFTER_SECONDS", 0.1)
    gate, end = Gate(), threading.Event()
    with ThreadPoolExecutor(PLACES) as pool:
        hanging = [pool.submit(visit, gate, end.wait) for _ in range(PLACES)]
        while gate._inside < PLACES:
            time.sleep(0.001)
        began = time.monotonic()
        assert rush(gate, fail, 6) == {"GateClosed": 6}
        assert time.monotonic() - began < 1, "though they might have waited for two"
        end.set()
        assert [each.result() for each in hanging] == ["answered"] * PLACES
    assert visit(gate, fail) == "NoAnswer", "there is room again"


def test_after_a_call_without_an_answer_nobody_waits_until_one_is_answered() -> None:
    gate, end = Gate(), threading.Event()
    assert visit(gate, fail) == "NoAnswer"
    with ThreadPoolExecutor(PLACES) as pool:
        for _ in range(PLACES):
            pool.submit(visit, gate, end.wait)
        while gate._inside < PLACES:
            time.sleep(0.001)
        began = time.monotonic()
        assert visit(gate, fail) == "GateClosed"
        assert time.monotonic() - began < 0.5
        end.set()
    assert rush(gate, lambda: time.sleep(0.01), 6) == {"answered": 6}


def test_what_the_service_refuses_is_an_answer() -> None:
    gate = Gate()
    with pytest.raises(ZeroDivisionError), gate.passed(1, unanswered=NoAnswer):
        raise ZeroDivisionError
    assert gate._answers
    assert gate._inside == 0
