"""The clock that several processes share, and what of their time stays real."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.faketime import Clock, remove_leftovers

pytestmark = pytest.mark.no_database

# Says the time for each line it is given, by itself and by a child that it forks for the purpose.
ASKED = """
import os, sys, threading, time

def look_at_the_clock():
    while True:
        time.time()

for _ in range(2):
    threading.Thread(target=look_at_the_clock, daemon=True).start()
for line in sys.stdin:
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, repr(time.time()).encode())
        os._exit(0)
    os.wait()
    print(time.time(), os.read(reader, 100).decode(), flush=True)
"""
SLEEPS = """
import threading, time

wall, monotonic = time.time(), time.monotonic()
time.sleep(0.2)
threading.Event().wait(0.2)
print(time.time() - wall, time.monotonic() - monotonic)
"""


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[Clock]:
    yield Clock(tmp_path)
    remove_leftovers()


def start(clock: Clock, script: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, **clock.environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ask(process: subprocess.Popen[str]) -> list[datetime]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return [datetime.fromtimestamp(float(word), UTC) for word in process.stdout.readline().split()]


def test_running_processes_and_their_children_see_each_new_time(clock: Clock):
    with start(clock, ASKED) as first, start(clock, ASKED) as second:
        for days in (0, 1, 400):
            now = clock.advance(days=days)
            seen = ask(first) + ask(second)
            assert len(seen) == 4
            assert max(abs(moment - now) for moment in seen) < timedelta(seconds=5)


def test_sleeps_and_time_outs_stay_real(clock: Clock):
    clock.advance(days=40)
    with start(clock, SLEEPS) as process:
        output, _ = process.communicate(timeout=30)
    wall, monotonic = (float(word) for word in output.split())
    assert 0.4 <= monotonic < 5
    assert abs(wall - monotonic) < 0.1


def test_nothing_stays_behind_of_a_killed_process(clock: Clock):
    with start(clock, ASKED) as process:
        ask(process)
        process.kill()
    remove_leftovers()
    assert list(Path("/dev/shm").glob(f"*faketime_*_{process.pid}")) == []
