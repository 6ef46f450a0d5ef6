"""A queue of jobs that are due at a time of the sandbox's clock, and the threads that do them."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable

from sandbox.book import Book

LOOKS_EVERY = 0.5
Job = Callable[[], None]


class DueQueue:
    def __init__(self, book: Book, name: str, workers: int) -> None:
        self.book = book
        self._jobs: list[tuple[float, int, Job]] = []
        lock = threading.Lock()
        self._ready, self._done = threading.Condition(lock), threading.Condition(lock)
        self._at_work = 0
        self._count = itertools.count()
        for number in range(workers):
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True).start()

    def put(self, due: float, job: Job) -> None:
        """Have the job done when the sandbox's clock shows ``due``."""
        with self._ready:
            heapq.heappush(self._jobs, (due, next(self._count), job))
            self._ready.notify()

    def clear(self) -> None:
        with self._ready:
            self._jobs.clear()

    def wait_until_done(self, seconds: float) -> bool:
        """Wait until no job is due or at work, and return whether that was so in time."""
        with self._ready:
            self._ready.notify_all()  # the clock may have been moved
            return self._done.wait_for(self._is_done, seconds)

    def _is_done(self) -> bool:
        return not (self._at_work or self._is_due())

    def _is_due(self) -> bool:
        return bool(self._jobs) and self._jobs[0][0] <= self.book.now()

    def _work(self) -> None:
        while True:
            job = self._next()
            try:
                job()
            finally:
                with self._ready:
                    self._at_work -= 1
                    self._done.notify_all()

    def _next(self) -> Job:
        with self._ready:
            while not self._is_due():
                self._ready.wait(self._pause())
            self._at_work += 1
            return heapq.heappop(self._jobs)[2]

    def _pause(self) -> float | None:
        """How long to wait for the next job: not long, as the clock may be moved meanwhile."""
        if not self._jobs:
            return None
        return max(0.0, min(LOOKS_EVERY, self._jobs[0][0] - self.book.now()))
