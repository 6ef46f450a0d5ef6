"""How the checks read: all of it or what changed lately, in batches, and twice where the shop goes
on meanwhile.
"""

import functools
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet

from affiliates.models import Commission, LedgerEntry
from enrollments import mails
from enrollments.models import Enrollment, EnrollmentEvent
from grants.models import Grant
from lms_sync.models import SyncJob
from maaledu.work.items import DONE
from notifications.models import Email
from payments.models import Dispute, EarlyFraudWarning, Payment, Refund

Row = TypeVar("Row")
GRACE = timedelta(hours=1)
BATCH = 500


@dataclass(frozen=True)
class Scope:
    """What a check looks at: everything, or what belongs to enrollments that changed `since` then.

    An enrollment has changed with anything that belongs to it: a payment, a job, an entry, a grant.
    What waits or is open is looked at either way, as time alone can make it wrong.
    """

    since: datetime | None = None

    @functools.cached_property
    def enrollments(self) -> frozenset[UUID]:
        """The keys of those that changed."""
        return frozenset(_changed(self.since)) if self.since else frozenset()

    @functools.cached_property
    def grants(self) -> frozenset[UUID]:
        """The keys of the grants that changed, or that such an enrollment holds."""
        if not self.since:
            return frozenset()
        held = keys(self.of(Enrollment.objects.all(), "pk"), "grant_id")
        return frozenset({*keys([_updated(Grant, self.since)], "pk"), *held} - {None})

    def of(self, rows: QuerySet[Any], field: str = "enrollment_id") -> Iterator[QuerySet[Any]]:
        """Yield the rows to look at, in parts; `field` is the key of their enrollment."""
        return self._parts(rows, field, self.enrollments)

    def of_grants(self, rows: QuerySet[Any], field: str = "pk") -> Iterator[QuerySet[Any]]:
        """Yield the rows to look at, in parts; `field` is the key of their grant."""
        return self._parts(rows, field, self.grants)

    def _parts(
        self, rows: QuerySet[Any], field: str, changed: Collection[UUID]
    ) -> Iterator[QuerySet[Any]]:
        if self.since is None:
            yield rows
            return
        for part in batches(sorted(changed)):
            yield rows.filter(**{f"{field}__in": part})


ALL = Scope()
Check = Callable[..., list[str]]  # of a Scope, which is all if none is given


def confirmed(check: Check) -> Check:
    """Have a check report only what it finds twice.

    The shop goes on while it reads table after table, so that one look may see a payment without
    the refund that was written a moment later.
    """

    @functools.wraps(check)
    def checked(scope: Scope = ALL) -> list[str]:
        found = check(scope)
        still = set(check(scope)) if found else set()
        return [line for line in found if line in still]

    return checked


def batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield these BATCH at a time, so that what belongs to them is read once for each batch."""
    left = iter(rows)
    while batch := list(islice(left, BATCH)):
        yield batch


def in_batches(parts: Iterable[QuerySet[Any]]) -> Iterator[list[Any]]:
    """Yield the rows of all parts, BATCH at a time, without ever holding more."""
    return batches(row for part in parts for row in part.order_by().iterator(BATCH))


def keys(parts: Iterable[QuerySet[Any]], field: str) -> Iterator[Any]:
    """Yield one column of the rows of all parts."""
    for part in parts:
        yield from part.order_by().values_list(field, flat=True).iterator(BATCH)


def enrollment_key(text: str) -> UUID | None:
    """Return the enrollment that a job's or e-mail's key names: `enroll:<id>:2`."""
    try:
        return UUID(text.partition(":")[2].partition(":")[0])
    except ValueError:
        return None


# --- what changed ---------------------------------------------------------------------------------
def _updated(model: type[Model], since: datetime) -> QuerySet[Any]:
    return model._default_manager.filter(updated_at__gte=since)


def _changed(since: datetime) -> Iterator[UUID]:
    yield from keys([_updated(Enrollment, since)], "pk")
    events = EnrollmentEvent.objects.filter(created_at__gte=since)
    entries = LedgerEntry.objects.filter(created_at__gte=since).exclude(enrollment_id=None)
    for rows in (_updated(Payment, since), events, _updated(Commission, since), entries):
        yield from keys([rows], "enrollment_id")
    yield from keys([_updated(Grant, since).exclude(enrollment_id=None)], "enrollment_id")
    for model in (Refund, Dispute, EarlyFraudWarning):
        touched = keys([_updated(model, since).exclude(payment_id=None)], "payment_id")
        for part in batches(touched):
            yield from keys([Payment.objects.filter(pk__in=part)], "enrollment_id")
    jobs = [
        SyncJob.objects.filter(created_at__gte=since),
        SyncJob.objects.filter(status=DONE, finished_at__gte=since),
    ]
    mailed = Email.objects.filter(kind__in=mails.CONFIRMATION_KINDS, created_at__gte=since)
    yield from filter(None, map(enrollment_key, keys([*jobs, mailed], "dedupe_key")))
