"""Jobs of learners who have no account on the platform yet, and the looks for one.

The job itself is tried again once a day. In between, one call asks about a hundred learners, and
the jobs of those who have an account by now are made due: thousands of buyers who never register
cost a platform some calls a minute, and fewer with every day.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from courses.models import connected_platforms
from lms_sync import breaker, seats
from lms_sync.connection import platform_for
from lms_sync.errors import LmsError
from lms_sync.models import SyncJob
from maaledu.work.queue import jittered

logger = logging.getLogger(__name__)

AT_MOST_EVERY = timedelta(seconds=10)  # a learner who says that the account is there


def pause_between_looks(age: timedelta) -> timedelta:
    """Return how long to wait until the next look, for a job that is this old."""
    looks = settings.LMS_ACCOUNT_LOOKS
    return next(pause for younger_than, pause in looks if age < younger_than)


def wait_for_account(job: SyncJob) -> None:
    """Note that the job waits for its learner's account, and when to look for that."""
    now = timezone.now()
    look_at = now + pause_between_looks(now - job.created_at)
    SyncJob.objects.filter(pk=job.pk).update(look_at=look_at, updated_at=now)


def look_now(dedupe_key: str) -> bool:
    """Make a job that waits for an account due now, and return whether this call did.

    Once in ten seconds at most, whoever asks.
    """
    now = timezone.now()
    waiting = SyncJob.objects.awaiting_account().filter(
        dedupe_key=dedupe_key, updated_at__lte=now - AT_MOST_EVERY
    )
    return waiting.update(next_attempt_at=now, updated_at=now) == 1


def look_for_accounts() -> int:
    """Make the jobs due of learners who have an account by now, and return how many.

    One call a round and platform. One that does not answer ends its own round only.
    """
    blocked = breaker.blocked_platforms()
    return sum(_look(name) for name in connected_platforms() if name not in blocked)


def _look(platform: str) -> int:
    now = timezone.now()
    due = SyncJob.objects.awaiting_account().filter(platform=platform, look_at__lte=now)
    jobs = list(due.order_by("look_at")[: settings.LMS_ACCOUNTS_PER_CALL])
    try:
        return _look_for(platform, jobs, now) if jobs else 0
    except LmsError as error:
        logger.warning(
            "accounts could not be looked for",
            extra={"platform": platform, "reason": error.explanation},
        )
        return 0


def _look_for(platform: str, jobs: Sequence[SyncJob], now: datetime) -> int:
    driver = platform_for(platform, timeout=settings.LMS_TIMEOUT_INTERACTIVE)
    with seats.taken(platform):
        known = driver.with_account([job.email for job in jobs])
    waiting, later = SyncJob.objects.awaiting_account(), defaultdict(list)
    for job in jobs:
        if job.email not in known:
            later[pause_between_looks(now - job.created_at)].append(job.pk)
    for pause, keys in later.items():
        waiting.filter(pk__in=keys).update(look_at=now + jittered(pause), updated_at=now)
    arrived = waiting.filter(email__in=known, pk__in=[job.pk for job in jobs])
    return arrived.update(next_attempt_at=now, look_at=None, updated_at=now)
