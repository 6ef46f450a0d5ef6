"""What must hold at any moment, each as one check that names the rows for which it does not.

Everything is computed anew from the rows that caused it. Source: contracts/reliability, section 1.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.utils import timezone

from operations import heartbeats
from operations.invariants import (
    access,
    coupons,
    day_figures,
    enrollments,
    ledger,
    payouts,
    reversals,
    work,
)
from operations.invariants.reading import ALL, Check, Scope

ALL_EVERY = timedelta(days=6, hours=12)  # in one night of a week
# A transaction that was open then may have written what it changed before as after.
OVERLAP = timedelta(hours=1)

CHECKS: tuple[Check, ...] = (
    enrollments.check_one_live_enrollment,
    enrollments.check_one_open_payment,
    enrollments.check_paid_is_paid_for,
    enrollments.check_amounts_are_as_asked,
    enrollments.check_courses_exist,
    enrollments.check_received_is_fulfilled,
    enrollments.check_pending_ends,
    enrollments.check_audit,
    access.check_paid_has_job,
    access.check_job_has_paid,
    access.check_access_is_recorded,
    access.check_one_confirmation,
    work.check_queues,
    work.check_dead_letters,
    work.check_dead_events,
    work.check_events_are_applied,
    work.check_events_once,
    work.check_attempts,
    coupons.check_coupon_at_most_once,
    coupons.check_coupon_is_not_stuck,
    coupons.check_budgets,
    coupons.check_grant_trails,
    ledger.check_balances,
    ledger.check_commissions,
    ledger.check_sales_are_credited,
    payouts.check_payouts,
    payouts.check_two_persons,
    reversals.check_refunds,
    reversals.check_ended_enrollments,
    day_figures.check_day_figures,
)


def verify(checks: Iterable[Check] = CHECKS, *, scope: Scope = ALL) -> list[str]:
    """Run the checks and return what does not hold, each line headed by its check's name."""
    return [f"{check.__name__}: {line}" for check in checks for line in check(scope)]


def verify_nightly() -> list[str]:
    """Check what changed since the last night that found nothing, and everything once a week.

    What is found stays in what is looked at, so that it is found each night until it is mended.
    """
    now, seen = timezone.now(), heartbeats.last_seen()
    everything, changed = (
        seen[name].at if name in seen else None
        for name in (heartbeats.ALL_INVARIANTS, heartbeats.INVARIANTS)
    )
    is_everything_known = everything is not None and now - everything < ALL_EVERY
    scope = Scope(since=changed - OVERLAP) if changed and is_everything_known else ALL
    found = verify(scope=scope)
    if not found:
        _note(now, everything=scope is ALL)
    return found


def _note(at: datetime, *, everything: bool) -> None:
    heartbeats.note(heartbeats.INVARIANTS, at=at)
    if everything:
        heartbeats.note(heartbeats.ALL_INVARIANTS, at=at)
