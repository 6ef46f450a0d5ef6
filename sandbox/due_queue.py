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
        self._ready = threading.Condition()
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

    def _work(self) -> None:
        while True:
            self._next()()

    def _next(self) -> Job:
        with self._ready:
            while not self._jobs or self._jobs[0][0] > self.book.now():
                self._ready.wait(self._pause())
            return heapq.heappop(self._jobs)[2]

    def _pause(self) -> float | None:
        """How long to wait for the next job: not long, as the clock may be moved meanwhile."""
        if not self._jobs:
            return None
        return max(0.0, min(LOOKS_EVERY, self._jobs[0][0] - self.book.now()))
