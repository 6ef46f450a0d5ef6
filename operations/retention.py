"""What is deleted and when: each kind of row by a step of its own, so that one that fails stops no
other.

docs/data-model.md says of every table how long its rows are kept, and why where that is for ever.
"""

from collections.abc import Callable
from functools import partial

from django.conf import settings
from django.contrib.sessions.models import Session
from django.utils import timezone

from affiliates import labels, visits
from courses import unused_pictures
from grants import refusals
from lms_sync import call_history, locks
from maaledu import idempotency, limit_counts
from maaledu.forgetting import forget
from maaledu.work.items import DEAD, DONE
from maaledu.work.queue import Queue
from notifications.models import Alert, AlertNotice, Email
from operations import watch
from operations.queues import QUEUES


def forget_finished(queue: Queue) -> int:
    """Delete a queue's finished items past their retention (decisions: 90 days)."""
    limit_at = timezone.now() - settings.WORK_KEEP_FINISHED
    done = queue.model.objects.filter(status=DONE, finished_at__lt=limit_at)
    return forget(done, by="finished_at")


def forget_dead_messages() -> int:
    """Delete the e-mails and notices that could not be sent, when nobody will send them any more.

    Other dead items wait for staff, however long.
    """
    limit_at = timezone.now() - settings.WORK_KEEP_FINISHED
    return sum(
        forget(model.objects.filter(status=DEAD, created_at__lt=limit_at), by="created_at")
        for model in (Email, AlertNotice)
    )


def forget_alerts() -> int:
    """Delete old alerts, with their notices; what goes on for so long may alert again."""
    old = Alert.objects.filter(created_at__lt=timezone.now() - settings.ALERTS_KEPT)
    return forget(old, by="created_at")


def forget_sessions() -> int:
    """Delete the sessions that are over."""
    return forget(Session.objects.filter(expire_date__lt=timezone.now()), by="expire_date")


# By what they delete, as staff read it when one fails.
STEPS: dict[str, Callable[[], int]] = {
    **{
        f"finished items of the queue {name}": partial(forget_finished, queue)
        for name, queue in QUEUES.items()
    },
    "messages that could not be sent": forget_dead_messages,
    "old alerts": forget_alerts,
    "old troubles": watch.forget_old,
    "expired sessions": forget_sessions,
    "visits of affiliates' links": visits.forget_old,
    "counts of labels of affiliates' links": labels.forget_old,
    "refused codes": refusals.forget_old,
    "hours of LMS calls": call_history.thin,
    "pictures that nothing shows": unused_pictures.forget_unused,
    "counts of limits": limit_counts.forget_lapsed,
    "answers to repeated requests": idempotency.forget_old,
    "locks of lost workers": locks.forget_lapsed,
}
