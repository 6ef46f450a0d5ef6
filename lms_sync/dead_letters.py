"""Jobs that have no attempts left, kept with their reason until staff replay or settle them."""

from typing import Any

from django.utils import timezone

from lms_sync.models import DeadLetter, SyncAttempt, SyncJob
from lms_sync.rerouting import follow_course
from maaledu.db import atomic, transition
from maaledu.errors import AppError
from maaledu.work import items

OPEN, REPLAYED, DISMISSED = (
    DeadLetter.Status.OPEN,
    DeadLetter.Status.REPLAYED,
    DeadLetter.Status.DISMISSED,
)
MAX_NOTE = 300
WORKER = "worker"
FROM_THE_JOB = "Retried from the job."
DONE_AFTER_ALL = "The job was done after all."


@atomic
def ensure_dead_letter(job: SyncJob, error: AppError) -> DeadLetter:
    """Ensure that a job that is dead now has one open letter with the reason, still to be alerted.

    A job may be dead a second time after a replay: its letter is opened again then, with the new
    reason (requirement R135).
    """
    facts = _facts(job, error)
    letter, created = DeadLetter.objects.get_or_create(job=job, defaults=facts)
    if not created:
        cleared: dict[str, Any] = {
            "notification_sent_at": None,
            "resolved_by": "",
            "resolved_at": None,
            "note": "",
            "settled_how": "",
        }
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
def replay(letter: DeadLetter, *, by: str, how: str = "", note: str = "") -> bool:
    """Replay the job of a letter with all its attempts, and return whether this call did.

    A second call changes nothing. `by` is the e-mail of the member of staff. The job goes to where
    its course is in the LMS now.
    """
    won = transition(
        letter,
        REPLAYED,
        resolved_by=by,
        resolved_at=timezone.now(),
        settled_how=how,
        note=note[:MAX_NOTE],
    )
    # Also where another call replayed the letter first: the job is replayed whoever won the letter.
    if letter.status == REPLAYED:
        follow_course(letter.job, by=by)
        items.replay(letter.job)
    return won


@atomic
def retry(job: SyncJob, *, by: str) -> bool:
    """Make a waiting job due now, or replay a dead one with its letter.

    Return whether this call did either. Staff reach it from the job and from the enrollment. The
    job goes to where its course is in the LMS now.
    """
    follow_course(job, by=by)
    if items.retry_now(job):
        return True
    revived = items.replay(job)
    if revived:
        _close(job, [OPEN, DISMISSED], by=by, note=FROM_THE_JOB)
    return revived


def conclude(job: SyncJob) -> bool:
    """Close the open letter of a job that is done, and return whether there was one.

    Call it in the transaction that settles the job.
    """
    if job.was_never_run:
        return False
    return _close(job, [OPEN], by=WORKER, note=DONE_AFTER_ALL)


def _close(job: SyncJob, among: list[str], *, by: str, note: str) -> bool:
    letter = DeadLetter.objects.filter(job=job, status__in=among).first()
    return letter is not None and transition(
        letter, REPLAYED, resolved_by=by, resolved_at=timezone.now(), note=note
    )


def settle(letter: DeadLetter, *, by: str, how: str, note: str = "") -> bool:
    """Close the letter without another attempt, and return whether this call did.

    `how` is one of `DeadLetter.SETTLED`. It changes nothing about the enrollment.
    """
    return transition(
        letter,
        DISMISSED,
        resolved_by=by,
        resolved_at=timezone.now(),
        settled_how=how,
        note=note[:MAX_NOTE],
    )


def mark_notified(letter: DeadLetter) -> bool:
    """Take the alert about an open letter; return whether this call did, whose caller sends it."""
    now = timezone.now()
    return (
        DeadLetter.objects.unannounced()
        .filter(pk=letter.pk)
        .update(notification_sent_at=now, updated_at=now)
        == 1
    )
