"""Whether the mail server takes mail: a row, which all processes of all machines share.

While it does not, nothing is sent but one message now and then, which ends the pause when it is
taken. So an outage or a refusal of everything costs no message an attempt, and no server is asked
over and over. An answer about one address says that the server works, and ends nothing.
"""

import functools
import operator
import uuid
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from maaledu.db import atomic
from maaledu.errors import AppError
from maaledu.work.items import MAX_ERROR_LENGTH, PENDING
from notifications import alerts
from notifications.errors import MailNotAllowed, MailPaused, MailUnavailable, MailUncertain
from notifications.models import Email, MailState

NAME = "mail"
CAUSE = "mail"  # of the alerts
WAITED_FOR_IT = (MailNotAllowed, MailPaused, MailUnavailable)
SHORTEST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(minutes=10)
TRY_LEASE = timedelta(minutes=2)  # longer than one message takes, whatever the server does
# An outage that is over sooner alerts nobody: mail servers restart.
ALERT_OUTAGE_AFTER = timedelta(minutes=2)
ANSWERING, UNAVAILABLE, REFUSING = (
    MailState.State.ANSWERING,
    MailState.State.UNAVAILABLE,
    MailState.State.REFUSING,
)
WAITING = "E-mails wait, sign-in codes too; none is lost, and all go out once it takes them again."


def paused() -> MailState | None:
    """Return the state while the queue waits, or None."""
    return MailState.objects.filter(name=NAME).exclude(state=ANSWERING).first()


def refuse_while_paused(email: Email) -> MailState | None:
    """Return the state if this message is the one that is tried, None where nothing waits.

    Raises MailPaused for any other message.
    """
    state = paused()
    if state and state.trying != email.pk:
        raise MailPaused(retry_at=state.retry_at)
    return state


def take_try(state: MailState, now: datetime) -> uuid.UUID | None:
    """Return the message that may be tried now, the most urgent one; once over all processes.

    The one that failed last comes after all others, so that no message alone can keep the queue
    waiting.
    """
    if state.retry_at and state.retry_at > now:
        return None
    due = Email.objects.due(now).order_by("priority", "next_attempt_at")
    message = due.exclude(pk=state.suspect).first() or due.first()
    if message is None:
        return None
    waiting = MailState.objects.filter(pk=state.pk, retry_at=state.retry_at)
    changes = {"retry_at": now + TRY_LEASE, "trying": message.pk, "updated_at": now}
    taken = waiting.exclude(state=ANSWERING).update(**changes) == 1
    return message.pk if taken else None


def try_now(state: MailState) -> bool:
    """Have the next message tried at once; return whether the queue was waiting. For staff."""
    now = timezone.now()
    waiting = MailState.objects.filter(pk=state.pk).exclude(state=ANSWERING)
    if waiting.update(retry_at=now, updated_at=now) != 1:
        return False
    first = Email.objects.filter(status=PENDING).order_by("priority", "next_attempt_at").first()
    if first:
        Email.objects.filter(pk=first.pk, status=PENDING).update(next_attempt_at=now)
    return True


def note_failure(email: Email, error: AppError) -> None:
    """Let the queue wait after an answer about us or none at all, and alert staff once.

    Each failure in a row doubles the pause. It becomes the message's own, save for one that may
    have arrived: that is sent again more and more seldom.
    """
    is_ours, may_be_there = isinstance(error, MailNotAllowed), isinstance(error, MailUncertain)
    state, now = _row(), timezone.now()
    state.failures += 1
    pause = _pause(state.failures)
    if not may_be_there:
        error.retry_after = pause
    changes = {
        "state": REFUSING if is_ours else UNAVAILABLE,
        "since": state.since or now,
        "failures": state.failures,
        "retry_at": now + pause,
        "trying": None,
        "suspect": email.pk if is_ours or may_be_there else None,
        "last_error": str(error)[:MAX_ERROR_LENGTH],
        "updated_at": now,
    }
    MailState.objects.filter(pk=state.pk).update(**changes)
    _alert(state.pk)


def note_answer(state: MailState | None) -> None:
    """The server judged one address while the queue waits: the next message is tried at once."""
    if state:
        MailState.objects.filter(pk=state.pk, trying=state.trying).update(
            trying=None, retry_at=timezone.now()
        )


def note_success(email: Email, state: MailState | None) -> None:
    """End the pause, as this message was taken; `state` is what it was sent in."""
    if state is None or not _end(state):
        return
    if state.state == REFUSING and state.suspect and state.suspect != email.pk:
        # Perhaps what stopped the queue was about that message alone: it does so once.
        Email.objects.filter(pk=state.suspect).update(is_suspected=True)


@atomic
def _end(state: MailState) -> bool:
    waiting = MailState.objects.filter(pk=state.pk).exclude(state=ANSWERING)
    fresh = {"since": None, "retry_at": None, "trying": None, "suspect": None, "alerted": ""}
    now = timezone.now()
    changes = {"state": ANSWERING, "failures": 0, "updated_at": now, **fresh}
    if waiting.update(**changes) != 1:
        return False
    _make_due(now)
    alerts.recover(CAUSE)
    return True


def _make_due(now: datetime) -> None:
    """Send what waited for the mail server at once, whatever pause it was given."""
    by_code = (Q(last_error__startswith=error.code) for error in WAITED_FOR_IT)
    waiting = Email.objects.filter(functools.reduce(operator.or_, by_code), status=PENDING)
    waiting.update(next_attempt_at=now, updated_at=now)


@atomic
def _alert(pk: uuid.UUID) -> None:
    """Alert staff by every way but e-mail, once for this incident and each kind of it."""
    state = MailState.objects.get(pk=pk)
    if state.state == ANSWERING or state.since is None or state.alerted == state.state:
        return
    if state.state == UNAVAILABLE and timezone.now() - state.since < ALERT_OUTAGE_AFTER:
        return
    rows = MailState.objects.filter(pk=pk, state=state.state, alerted=state.alerted)
    if rows.update(alerted=state.state) == 1:
        alerts.alert_staff(
            key=f"{CAUSE}:{state.state}:{state.since:%Y%m%d%H%M%S}",
            subject=f"No e-mail leaves: the mail server {_verb(state)}",
            lines=[state.last_error, WAITING],
            since=state.since,
            not_by=alerts.EMAIL,
        )


def _verb(state: MailState) -> str:
    return "refuses what we send" if state.state == REFUSING else "is unavailable"


def _row() -> MailState:
    return MailState.objects.get_or_create(name=NAME)[0]


def _pause(failures: int) -> timedelta:
    return min(SHORTEST_PAUSE * 2 ** min(max(failures - 1, 0), 10), LONGEST_PAUSE)
