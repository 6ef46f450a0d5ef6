"""A gate before an outside service: few threads of a web process are inside at once.

Without it a service that hangs holds every thread, and pages that need nothing of it wait as well.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

LONGEST_WAIT_SECONDS = 2.0
STUCK_AFTER_SECONDS = 1.0
# Set while a request is answered: somebody waits for this thread, and others for its turn.
answering: ContextVar[bool] = ContextVar("answering", default=False)


class GateClosed(Exception):
    """There is no place inside, and none is to be expected soon."""


class Gate:
    """Counts the threads inside.

    While the service answers, a thread waits for a place, as in any short rush. Once nothing was
    answered for a second, or the last call was not answered at all, nobody waits any more.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._answers = True
        self._last_sign = 0.0  # of life: an answer, or a place that was free

    @contextmanager
    def passed(self, places: int, *, unanswered: type[Exception]) -> Iterator[None]:
        """Be inside during the block. Raises GateClosed where `places` are taken.

        An exception of the type `unanswered` says that the service did not answer.
        """
        self._enter(places)
        answered = True
        try:
            yield
        except unanswered:
            answered = False
            raise
        finally:
            self._leave(answered=answered)

    def _enter(self, places: int) -> None:
        give_up_at = time.monotonic() + LONGEST_WAIT_SECONDS
        with self._changed:
            while self._inside >= places:
                stuck_at = self._last_sign + STUCK_AFTER_SECONDS if self._answers else 0
                left = min(give_up_at, stuck_at) - time.monotonic()
                if left <= 0:
                    raise GateClosed
                self._changed.wait(left)
            self._inside += 1
            self._last_sign = time.monotonic()

    def _leave(self, *, answered: bool) -> None:
        with self._changed:
            self._inside -= 1
            self._answers = answered
            self._last_sign = time.monotonic()
            # All of them: where nothing was answered, each gives up.
            self._changed.notify_all()
