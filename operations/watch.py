"""Look whether work gets done, keep since when it does not, and alert once for each change.

The scheduler has it looked at, each minute; while it is silent, a web process does.
"""

import logging
import threading
import time
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from maaledu.db import atomic
from maaledu.forgetting import forget
from maaledu.public_pages import bump_public_pages
from notifications.alerts import alert_staff, recover
from notifications.direct import send_alerts_now
from operations import heartbeats, levels, stripe_deliveries
from operations.levels import LMS, TITLES, Reason
from operations.models import LEVELS, RED, Trouble
from payments.errors import StripeRefused, StripeUnavailable

logger = logging.getLogger(__name__)

# One that comes and goes is one trouble: it ends, or gets better, when it was not seen for so long.
CALM_AFTER = timedelta(minutes=5)
# In every other look: what was lost two minutes ago is alerted within five.
STRIPE_EVERY = timedelta(seconds=90)
SILENT_AFTER = timedelta(minutes=2)  # then the web process looks
STRIPE_CAUSES = frozenset({"stripe", "webhook"})
# What has alerted by itself, and is over when its cause is: no letter and no event is dead.
ENDS_WITH = {"dead": ["dead-letter", "dead-event"]}


def look(*, by_scheduler: bool = False) -> list[Reason]:
    """Assess the level, and alert staff of what began, got worse or better, or is over.

    Once for each change, however many processes look. The scheduler's look asks Stripe as well,
    every STRIPE_EVERY at most, and is what keeps web processes from looking.
    """
    reasons = levels.assess()
    asked = by_scheduler and heartbeats.take_turn(heartbeats.STRIPE, STRIPE_EVERY)
    if asked:
        reasons += _ask_stripe()
    # What only Stripe can say is not over because it was not asked.
    unknown = frozenset() if asked else STRIPE_CAUSES
    _compare({reason.cause: reason for reason in reasons}, unknown)
    if by_scheduler:
        heartbeats.note(heartbeats.WATCH)
    return reasons


def _ask_stripe() -> list[Reason]:
    try:
        found = stripe_deliveries.examine()
    except (StripeUnavailable, StripeRefused) as error:
        return [Reason("stripe", RED, f"{error.code}: {error}"[:300])]
    return [] if found.ok else [Reason("webhook", RED, found.message[:300])]


def _compare(seen: dict[str, Reason], unknown: Iterable[str]) -> None:
    now = timezone.now()
    known = {trouble.cause: trouble for trouble in Trouble.objects.open()}
    for cause, reason in seen.items():
        if cause in known:
            _go_on(known[cause], reason, now)
        else:
            _begin(reason, now)
    for cause in set(known) - set(seen) - set(unknown):
        if known[cause].seen_at <= now - CALM_AFTER:
            _end(known[cause], now)


@atomic
def _begin(reason: Reason, now: datetime) -> None:
    fields = {
        "cause": reason.cause,
        "level": reason.level,
        "worst": reason.level,
        "text": reason.text,
        "began_at": reason.since or now,
        "seen_at": now,
    }
    trouble, is_new = Trouble.objects.get_or_create(open_key=reason.cause, defaults=fields)
    if is_new:
        bump_public_pages()
        _alert_of_level(trouble, now)


def _go_on(trouble: Trouble, reason: Reason, now: datetime) -> None:
    if reason.level == trouble.level:
        Trouble.objects.filter(pk=trouble.pk).update(seen_at=now, text=reason.text)
    elif _is_worse(reason.level, trouble.level) or trouble.seen_at <= now - CALM_AFTER:
        _move(trouble, reason, now)


def _is_worse(level: str, other: str) -> bool:
    return LEVELS.index(level) > LEVELS.index(other)


@atomic
def _move(trouble: Trouble, reason: Reason, now: datetime) -> None:
    before = Trouble.objects.open().filter(pk=trouble.pk, level=trouble.level)
    worst = max(trouble.worst, reason.level, key=LEVELS.index)
    if before.update(level=reason.level, worst=worst, text=reason.text, seen_at=now):
        trouble.level, trouble.text = reason.level, reason.text
        bump_public_pages()
        _alert_of_level(trouble, now)


def _alert_of_level(trouble: Trouble, now: datetime) -> None:
    # What is dead was alerted of when it died, and the others by `outages` and `mail_state`.
    if trouble.cause.startswith((LMS, "dead", "mail")):
        return
    title = TITLES[trouble.cause]
    alert_staff(
        key=f"level:{trouble.pk}:{trouble.level}:{now:%Y%m%d%H%M%S%f}",
        since=trouble.began_at,
        subject=f"Now {trouble.level}: {title}",
        lines=[
            f"{trouble.text} Since {trouble.began_at:%Y-%m-%d %H:%M} UTC.",
            f"What to do is in docs/runbook.md, “Now …: {title}”.",
            f"How it is now: {settings.SITE_URL}{reverse('health_work')} (for staff, with details)",
        ],
    )


@atomic
def _end(trouble: Trouble, now: datetime) -> None:
    still = Trouble.objects.open().filter(pk=trouble.pk, seen_at=trouble.seen_at)
    if still.update(ended_at=now, open_key=f"{trouble.cause}:{trouble.pk}"):
        bump_public_pages()
        for alerted in (f"level:{trouble.pk}", *ENDS_WITH.get(trouble.cause, ())):
            recover(alerted)


def forget_old() -> int:
    """Delete the troubles that ended longer ago than the public page shows; return how many."""
    over = Trouble.objects.filter(ended_at__lt=timezone.now() - settings.TROUBLES_KEPT)
    return forget(over, by="ended_at")


# --- by the web process ---------------------------------------------------------------------------
class _Turn:
    """When this process looks next whether the scheduler is silent."""

    at = 0.0


def look_later() -> None:
    """Have a thread look if the scheduler is silent, once in WATCH_EVERY; return at once.

    The first time after so long: a process that was just started says nothing about the others.
    """
    now = time.monotonic()
    if now < _Turn.at:
        return
    is_first, _Turn.at = _Turn.at == 0, now + settings.WATCH_EVERY.total_seconds()
    if not is_first:
        threading.Thread(target=look_if_silent, name="watch", daemon=True).start()


def look_if_silent() -> bool:
    """Look if nobody else does, and return whether this did. For a thread: it never raises."""
    try:
        silent = heartbeats.silence(heartbeats.WATCH, timezone.now()) > SILENT_AFTER
        looks = silent and heartbeats.take_turn(heartbeats.WEB_WATCH, settings.WATCH_EVERY / 2)
        if looks:
            look()
            # There may be no worker that sends them.
            send_alerts_now()
        return looks
    # The database may be lost: /health/ready says so, and the next look is in a minute.
    except Exception:
        logger.exception("the web process could not look whether work gets done")
        return False
    finally:
        connection.close()
