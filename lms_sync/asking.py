"""Questions to an LMS that nobody waits for: by a part of the calls that it may get."""

import time
from dataclasses import dataclass, field

from django.conf import settings
from django.utils import timezone

from lms_sync import admission, breaker, pace
from lms_sync.connection import platform_for
from lms_sync.errors import LmsPaced, LmsParked, LmsThrottled
from lms_sync.platforms.base import Platform
from lms_sync.platforms.client import Exchange

POLL_SECONDS = 1


@dataclass
class Asking:
    """Makes a driver for each question, as far as the platform has room for questions."""

    platform: str
    journal: list[Exchange] = field(default_factory=list)
    calls: int = 0
    asked: float = field(default_factory=time.monotonic)

    def __call__(self) -> Platform:
        """Raises LmsParked where it is down, and LmsPaced where others need it for too long."""
        rate = pace.full_rate(self.platform) * settings.LMS_COMPARE_SHARE
        time.sleep(max(self.asked + self.count() / rate - time.monotonic(), 0))
        self._wait_for_room()
        self.asked = time.monotonic()
        return platform_for(self.platform, journal=self.journal, is_question=True)

    def pause(self, error: LmsThrottled) -> None:
        """Let nobody ask for as long as the LMS wants it, whoever asked too often."""
        pace.hold(self.platform, timezone.now() + breaker.pause(error))

    def count(self) -> int:
        """Count the calls since this was asked last, and forget what was said in them."""
        calls = len(self.journal)
        self.calls += calls
        self.journal.clear()
        return calls

    def _wait_for_room(self) -> None:
        until = time.monotonic() + settings.LMS_COMPARE_PATIENCE.total_seconds()
        while not admission.has_room(self.platform):
            if breaker.state_of(self.platform).is_blocked:
                raise LmsParked
            if time.monotonic() > until:
                raise LmsPaced
            time.sleep(POLL_SECONDS)
