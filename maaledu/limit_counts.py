"""Count attempts in the database, which is slower than the cache and there when that is not."""

import hashlib
import time
from datetime import UTC, datetime, timedelta

from django.db.models import F
from django.utils import timezone

from maaledu.forgetting import forget
from maaledu.models import LimitCount

KEPT = timedelta(days=1)


def count(subject: str, usage: dict[str, int]) -> dict[str, int]:
    """Count one attempt in the period that `usage` is about, and return its state.

    A guarded UPDATE, so that attempts at the same moment are all counted. The cache's own count
    starts anew when it is back.
    """
    ends = int(time.time()) + usage["time_left"]
    key = hashlib.sha256(f"{subject}:{ends}".encode()).hexdigest()
    row = LimitCount.objects.filter(pk=key)
    if not row.update(count=F("count") + 1):
        LimitCount.objects.get_or_create(
            pk=key, defaults={"ends_at": datetime.fromtimestamp(ends, UTC)}
        )
        row.update(count=F("count") + 1)
    attempts = row.values_list("count", flat=True).get()
    return {**usage, "count": attempts, "should_limit": attempts > usage["limit"]}


def forget_lapsed() -> int:
    """Delete what is over for a day, and return how many."""
    return forget(LimitCount.objects.filter(ends_at__lt=timezone.now() - KEPT), by="ends_at")
