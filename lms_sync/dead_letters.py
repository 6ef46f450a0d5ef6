"""Jobs that will not be tried again by themselves: kept with their reason, until staff replay or dismiss them."""

from typing import Any

from django.utils import timezone

from lms_sync.models import DeadLetter, SyncAttempt, SyncJob
from maaledu.db import atomic, transition
from maaledu.errors import AppError
from maaledu.work import replay as replay_job

OPEN, REPLAYED, DISMISSED = DeadLetter.Status.OPEN, DeadLetter.Status.REPLAYED, DeadLetter.Status.DISMISSED
MAX_NOTE = 300


@atomic
def ensure_dead_letter(job: SyncJob, error: AppError) -> DeadLetter:
    """Make sure a dead job has one open letter that says why; one that died again after a replay is opened again."""
    facts = _facts(job, error)
    letter, created = DeadLetter.objects.get_or_create(job=job, defaults=facts)
    if not created and letter.status == REPLAYED:
        cleared: dict[str, Any] = {"notification_sent_at": None, "resolved_by": "", "resolved_at": None, "note": ""}
        transition(letter, OPEN, **facts, **cleared)
    return letter


def _facts(job: SyncJob, error: AppError) -> dict[str, Any]:
    now = timezone.now()
    first = SyncAttempt.objects.filter(job=job).order_by("started_at").first()
    return {
        "reason": error.code,
        "last_error": getattr(error, "explanation", error.message),
        "last_http_status": error.details.get("status"),
        "attempts": job.attempts,
        "first_attempt_at": first.started_at if first else job.created_at,
        "last_attempt_at": now,
    }


@atomic
def replay(letter: DeadLetter, *, by: str, note: str = "") -> bool:
    """Give the job a new life with all its attempts, and return whether this call did. Twice changes nothing more.

    `by` is the e-mail of the member of staff. The job is brought back by everyone who finds the letter replayed, so a
    crash between the two writes heals at the next try.
    """
    won = transition(letter, REPLAYED, resolved_by=by, resolved_at=timezone.now(), note=note[:MAX_NOTE])
    if letter.status == REPLAYED:
        replay_job(letter.job)
    return won


def dismiss(letter: DeadLetter, *, by: str, note: str = "") -> bool:
    """Close the letter without another try, and return whether this call did."""
    return transition(letter, DISMISSED, resolved_by=by, resolved_at=timezone.now(), note=note[:MAX_NOTE])


def mark_notified(letter: DeadLetter) -> bool:
    """Take the alert about an open letter, and return whether this call did: whoever gets True tells staff."""
    now = timezone.now()
    return DeadLetter.objects.unannounced().filter(pk=letter.pk).update(notification_sent_at=now, updated_at=now) == 1
