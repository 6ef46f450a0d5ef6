"""Refused coupons and why: the buyer reads one sentence, staff see the true reason.

It is kept in rows and in counts of the day. Each refusal costs the same statements whatever the
reason is, so that the time of an answer reveals nothing. The counts stay; of the rows the newest
are kept, and none past their retention, so that nobody fills the table by guessing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from uuid import UUID

from django.conf import settings
from django.db.models import F, QuerySet
from django.utils import timezone

from grants.errors import CouponUnavailable
from grants.models import Refusal, RefusalCount
from maaledu.forgetting import forget


def refusal(reason: str, *, email: str, course: str, grant: UUID | None) -> CouponUnavailable:
    """Return the one public refusal, to be raised, with what staff may know of it.

    `course` is a slug, `grant` the key of the grant whose code was entered.
    """
    return CouponUnavailable(
        reason=reason, tried_by=masked(email), course=course, grant=str(grant or "")
    )


def masked(email: str) -> str:
    """Return enough of an address for its owner to be helped, and not more: `g…@example.com`."""
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}…@{domain}"


@contextmanager
def counted() -> Iterator[None]:
    """Count and keep a CouponUnavailable that leaves this block.

    For views, where no transaction is open: inside one the refusal would roll back its own row.
    """
    try:
        yield
    except CouponUnavailable as error:
        count(error.details["reason"])
        _keep(error)
        raise


def _keep(error: CouponUnavailable) -> None:
    details = error.details
    Refusal.objects.create(
        reason=details["reason"],
        grant_id=details["grant"] or None,
        course_slug=details["course"],
        tried_by=details["tried_by"],
    )


def count(reason: str) -> None:
    """Add one refusal to today's count."""
    today = timezone.now().date()
    # The day's first refusal makes the rows of every reason, so that no later one takes more
    # statements than another.
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


# --- what is kept ---------------------------------------------------------------------------------
def forget_surplus() -> int:
    """Delete all but the newest rows, and return how many went.

    Guessed codes are counted apart, so that guessing pushes no other refusal out.
    """
    return _forget_all_but_newest(
        Refusal.objects.filter(reason=RefusalCount.UNKNOWN)
    ) + _forget_all_but_newest(Refusal.objects.exclude(reason=RefusalCount.UNKNOWN))


def _forget_all_but_newest(rows: QuerySet[Refusal]) -> int:
    most = settings.REFUSALS_MOST
    surplus = list(
        rows.order_by("-created_at").values_list("created_at", flat=True)[most : most + 1]
    )
    older = rows.filter(created_at__lte=surplus[0]) if surplus else rows.none()
    return forget(older, by="created_at")


def forget_old() -> int:
    """Delete the rows past their retention, and return how many; the counts of the day stay."""
    oldest = timezone.now() - settings.REFUSALS_KEPT
    return forget(Refusal.objects.filter(created_at__lt=oldest), by="created_at")
