"""Counts refused coupons by their true reason. Each refusal costs the same statements, whatever the reason is."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from django.db.models import F
from django.utils import timezone

from grants.errors import CouponUnavailable
from grants.models import RefusalCount


@contextmanager
def counted() -> Iterator[None]:
    """Count a CouponUnavailable that leaves this block, once; for entrances, where no transaction is open."""
    try:
        yield
    except CouponUnavailable as error:
        count(str(error.details.get("reason", RefusalCount.UNKNOWN)))
        raise


def count(reason: str) -> None:
    """Add one refusal to today's count: one UPDATE. The day's first refusal opens the day for every reason alike."""
    today = timezone.now().date()
    if not _add(today, reason):
        _open(today)
        _add(today, reason)


def _add(day: date, reason: str) -> bool:
    return RefusalCount.objects.filter(day=day, reason=reason).update(count=F("count") + 1) == 1


def _open(day: date) -> None:
    for reason in RefusalCount.TRUE_REASONS:
        RefusalCount.objects.get_or_create(day=day, reason=reason)


def since(day: date) -> dict[str, int]:
    """Return how many refusals there were from `day` on, by reason, every reason named."""
    found = dict.fromkeys(RefusalCount.TRUE_REASONS, 0)
    for reason, number in RefusalCount.objects.filter(day__gte=day).values_list("reason", "count"):
        found[reason] += number
    return found
