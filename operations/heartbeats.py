"""Say that a part of the work goes on, so that its silence is noticed by the others."""

import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Min
from django.utils import timezone

from maaledu.public_pages import bump_public_pages
from operations.models import RED, Heartbeat, Trouble

WORKER, SCHEDULER, NIGHTLY, BACKUP = "worker", "scheduler", "nightly", "backup"
# Who looks at all of it: the scheduler, or a web process in its place; and who asks Stripe.
WATCH, WEB_WATCH, STRIPE = "watch", "web watch", "stripe"
# Since when the invariants are known to hold: for what changed, and for everything.
INVARIANTS, ALL_INVARIANTS = "invariants", "all invariants"

SILENT_AFTER = timedelta(minutes=3)

_next: dict[str, float] = {}


def beat(name: str) -> bool:
    """Note that this part is alive, and return whether that was written.

    At most every HEARTBEAT_EVERY for each process: it may be called at each look into a queue.
    """
    now = time.monotonic()
    if now < _next.get(name, 0):
        return False
    at = timezone.now()
    if not Heartbeat.objects.filter(name=name, at__gte=at - SILENT_AFTER).update(at=at):
        _come_back(name, at)
    # After the write: one that failed is made good at the next beat.
    _next[name] = now + settings.HEARTBEAT_EVERY.total_seconds()
    return True


def note(name: str, *, at: datetime | None = None) -> None:
    """Write that this part is alive at this moment, or was at another one."""
    at = at or timezone.now()
    if not Heartbeat.objects.filter(name=name).update(at=at):
        Heartbeat.objects.get_or_create(name=name, defaults={"at": at})


def _come_back(name: str, at: datetime) -> None:
    """Note a first heartbeat, or one after a silence: then the silence stays on record.

    Where everything was off, nobody else has noticed it. Of many processes that come back at once,
    one writes it down.
    """
    before = Heartbeat.objects.filter(name=name).first()
    if before is None:
        note(name, at=at)
    elif Heartbeat.objects.filter(name=name, at=before.at).update(at=at) == 1:
        _record_silence(name, before.at, at)


def _record_silence(name: str, began_at: datetime, at: datetime) -> None:
    """Keep it as a trouble that is over; one that was noticed meanwhile lasted until now."""
    if not Trouble.objects.open().filter(cause=name).update(seen_at=at):
        Trouble.objects.create(
            open_key=f"{name}:{began_at:%Y%m%d%H%M%S%f}",
            cause=name,
            level=RED,
            worst=RED,
            text=f"Silent until {at:%Y-%m-%d %H:%M} UTC, and nobody was there to notice.",
            began_at=began_at,
            seen_at=at,
            ended_at=at,
        )
    bump_public_pages()


def take_turn(name: str, every: timedelta) -> bool:
    """Return whether this process, of all that ask, is the one that acts in this period."""
    at = timezone.now()
    if Heartbeat.objects.filter(name=name, at__lte=at - every).update(at=at):
        return True
    return Heartbeat.objects.get_or_create(name=name, defaults={"at": at})[1]


def last_seen() -> dict[str, Heartbeat]:
    return {heartbeat.name: heartbeat for heartbeat in Heartbeat.objects.all()}


def watched_since() -> datetime | None:
    """Return when somebody first looked whether work gets done; None before that."""
    watching = Heartbeat.objects.filter(name__in=(WATCH, WEB_WATCH))
    return watching.aggregate(first=Min("first_at"))["first"]


def silence(name: str, now: datetime) -> timedelta:
    """Return how long a part has been silent; without end where it was never seen."""
    heartbeat = Heartbeat.objects.filter(name=name).first()
    return now - heartbeat.at if heartbeat else timedelta.max
