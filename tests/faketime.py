"""One wall clock for several real processes, the product's and the sandbox's, which a test moves
ahead by weeks.

libfaketime is loaded into each process and reads the distance to the real time from one file, at
every look at the clock: all of them see a new time at the same moment. Only the wall clock is
faked. Sleeps, time-outs and the monotonic clock stay real, so nobody wakes up for an `advance`:
what is due is found at the next look of whoever polls. PostgreSQL and MongoDB keep the real time,
which the product never asks them for.
"""

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

PRELOADED = Path(__file__).parent / "preload"
PLACES = ("usr/lib/*/faketime", "usr/lib*/faketime")
# Not libfaketimeMT.so.1: a process that forks while another of its threads looks at the clock gets
# a child that hangs on that library's lock.
LIBRARY = "libfaketime.so.1"
# How long a thread of Python waits for its lock. The library mistakes the end of that wait for a
# moment of the wall clock, long past, and without this every waiting thread burns a processor.
GIL_MS = "5"
SHARED = Path("/dev/shm")
LEFT_BEHIND = re.compile(r"(?:sem\.)?faketime_(?:sem|shm)_(\d+)")


class Clock:
    """The time of every process started with `environment`; it runs on from where it was put."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "faketime"
        self._ahead = timedelta()
        self._write()

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment; its children inherit it."""
        given = os.environ.get("PYTHONPATH")
        return {
            "LD_PRELOAD": str(_library()),
            "PYTHONPATH": os.pathsep.join([str(PRELOADED), *([given] if given else [])]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_WAIT_MS": GIL_MS,
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def time(self) -> float:
        return time.time() + self._ahead.total_seconds()

    def advance(self, **delta: float) -> datetime:
        """Move every process ahead by a timedelta, `advance(days=30)`, and return the new time."""
        self._ahead += timedelta(**delta)
        self._write()
        return self.now()

    def _write(self) -> None:
        # A reader finds the old line or the new one, never half a line.
        new = self._file.with_suffix(".new")
        new.write_text(f"{self._ahead.total_seconds():+.6f}\n")
        new.replace(self._file)


def remove_leftovers() -> None:
    """Remove the semaphores and shared memory that libfaketime leaves behind in killed processes,
    which get in the way of a later process with the same number.
    """
    for path, pid in _left_behind():
        if not Path(f"/proc/{pid}").exists():
            with suppress(OSError):
                path.unlink()


def _left_behind() -> Iterator[tuple[Path, str]]:
    for path in SHARED.glob("*faketime_*"):
        found = LEFT_BEHIND.fullmatch(path.name)
        if found:
            yield path, found[1]


def _library() -> Path:
    for place in PLACES:
        for directory in Path("/").glob(place):
            if (directory / LIBRARY).exists():
                return directory / LIBRARY
    raise RuntimeError("libfaketime is missing: run script/setup --dev (Debian: libfaketime)")
