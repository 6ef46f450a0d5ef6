"""How often an LMS is called: a rate that all processes of all machines share, in its row.

Whoever is about to call reserves the next few moments by one guarded UPDATE, and waits for them:
nobody else gets the same ones, so that no second has more calls than the platform may get. The
connection is made before the moment: one that takes long would have its call arrive among the next.
After an outage the rate rises step by step. The clocks of the machines must agree, as NTP has them
do.
"""

import random
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from courses.models import Course
from lms_sync.errors import LmsBusy, LmsPaced
from lms_sync.models import PlatformState

SECOND = timedelta(seconds=1)
MILLISECOND = timedelta(milliseconds=1)
# A moment that was missed by more is given up, and from then to the arrival of the call some more
# time passes: this much is left free after each second's calls, so that late ones fit in as well.
LATE = timedelta(milliseconds=50)
LEFT_FREE = timedelta(milliseconds=250)
LEAD = timedelta(milliseconds=250)  # of whoever may have to make a connection first
RESERVED_AT_ONCE = timedelta(milliseconds=500)
LONGEST_WAIT = timedelta(seconds=5)
# Nobody reserves moments beyond these: one that is further away was written by another clock.
FURTHEST = timedelta(seconds=30)
SEEN = ("next_call_at", "paused_until", "recovered_at")
RAMP = (8, 4, 2)  # in the first steps after an outage, this part of the rate
TRIES = 20
LONGEST_PAUSE_SECONDS = 0.05


def full_rate(name: str) -> float:
    """Return how many calls a second a platform gets in quiet times."""
    is_openedx = name == Course.Platform.OPENEDX
    return float(settings.OPENEDX_CALLS_PER_SECOND if is_openedx else settings.LMS_CALLS_PER_SECOND)


def rate_at(now: datetime, state: PlatformState) -> float:
    """Return how many calls a second are allowed now."""
    rate = full_rate(state.name)
    if state.recovered_at is None:
        return rate
    step = max(now - state.recovered_at, timedelta(0)) // settings.LMS_RAMP_STEP
    return rate / RAMP[step] if step < len(RAMP) else rate


def is_behind(state: PlatformState, now: datetime) -> bool:
    """Whether a job that is taken up now would have to wait for its first call."""
    if state.paused_until and state.paused_until > now:
        return True
    ahead = state.next_call_at and SECOND < state.next_call_at - now < FURTHEST
    return bool(ahead)


def has_room(state: PlatformState, now: datetime) -> bool:
    """Whether calls that nobody waits for may be made now: at the full rate, with nobody behind."""
    is_full = rate_at(now, state) >= full_rate(state.name)
    return is_full and not is_behind(state, now)


def hold(name: str, until: datetime) -> None:
    """Let nobody call before that: the LMS asked for it."""
    PlatformState.objects.filter(name=name).update(paused_until=whole(until))


def forget(name: str) -> None:
    """Give up the moments that this process has reserved: they were at the rate from before."""
    for is_question in (False, True):
        _paces.pop((name, is_question), None)


def whole(moment: datetime) -> datetime:
    """Return the moment as every database keeps it: MongoDB has milliseconds."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@dataclass
class Pace:
    """The moments that this process has reserved at one platform, for all its threads."""

    name: str
    reserved_at_once: timedelta = RESERVED_AT_ONCE
    _moments: deque[datetime] = field(default_factory=deque)
    _seen: PlatformState | None = None
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def approach(self) -> datetime:
        """Return a moment shortly before it. Raises LmsPaced, LmsBusy."""
        moment = self._take()
        _sleep_until(moment - LEAD)
        return moment

    def wait(self, moment: datetime | None = None) -> float:
        """Return at the moment, or at another one if it was missed, with the seconds waited.

        Raises LmsPaced, LmsBusy.
        """
        began, moment = time.monotonic(), moment or self._take()
        while True:
            _sleep_until(moment)
            if timezone.now() - moment <= LATE:
                return time.monotonic() - began
            moment = self._take()

    def _take(self) -> datetime:
        with self._guard:
            now = timezone.now()
            while self._moments and now - self._moments[0] > LATE:
                self._moments.popleft()
            if not self._moments or self._moments[0] - now > FURTHEST:
                self._moments = deque(self._reserve())
            return self._moments.popleft()

    def _reserve(self) -> list[datetime]:
        for _ in range(TRIES):
            state = self._seen or PlatformState.objects.get_or_create(name=self.name)[0]
            moments, following = self._plan(state, timezone.now())
            # As it was seen: an outage that is over, and a pause, are noticed here by each process.
            seen = {name: getattr(state, name) for name in SEEN}
            known = PlatformState.objects.filter(pk=state.pk, **seen)
            if known.update(next_call_at=following) == 1:
                state.next_call_at = following
                self._seen = state
                return moments
            self._seen = None
            time.sleep(random.uniform(0, LONGEST_PAUSE_SECONDS))
        raise LmsBusy

    def _plan(self, state: PlatformState, now: datetime) -> tuple[list[datetime], datetime]:
        """Return the moments to reserve, and where the next ones begin."""
        if state.paused_until and state.paused_until > now:
            self._seen = None
            raise LmsPaced(retry_after=state.paused_until - now)
        first = whole(now) + MILLISECOND
        if state.next_call_at and state.next_call_at - now < FURTHEST:
            first = max(first, state.next_call_at)
        if first - now > LONGEST_WAIT:
            self._seen = None
            raise LmsPaced(retry_after=first - now)
        rate = rate_at(now, state)
        apart = (SECOND + LEFT_FREE) / rate
        number = max(1, int(rate * (self.reserved_at_once / SECOND)))
        following = whole(first + apart * number) + MILLISECOND
        return [first + apart * place for place in range(number)], following


@dataclass
class Turn:
    """When one call may be sent: any time where it has no `pace`."""

    pace: Pace | None = None
    moment: datetime | None = None
    waited: float = 0  # seconds

    def take(self) -> float:
        """Wait until then, and return the seconds. Raises LmsPaced, LmsBusy."""
        seconds = self.pace.wait(self.moment) if self.pace else 0
        self.waited += seconds
        return seconds


def _sleep_until(moment: datetime) -> None:
    time.sleep(max((moment - timezone.now()).total_seconds(), 0))


_paces: dict[tuple[str, bool], Pace] = {}


def approach(name: str, *, is_question: bool = False) -> Turn:
    """Wait until shortly before this process may call the platform once, and return that turn.

    For a question that nobody waits for one moment is reserved, and the next ones are left to jobs.
    Raises LmsPaced where that is not soon; nothing is reserved then.
    """
    at_once = timedelta(0) if is_question else RESERVED_AT_ONCE
    mine = _paces.setdefault((name, is_question), Pace(name, at_once))
    return Turn(mine, mine.approach())
