"""What must hold of payouts: their entries, their bookings, and the two persons."""

from collections.abc import Iterator
from typing import Any

from django.db.models import F, QuerySet, Sum

from affiliates.models import LedgerEntry, Payout, PayoutBatch, PayoutItem
from operations.invariants.enrollments import repeated
from operations.invariants.reading import ALL, Scope, batches, confirmed, in_batches, keys


@confirmed
def check_payouts(scope: Scope = ALL) -> list[str]:
    """I9: a live payout is the sum of its entries, and booked while it is released or paid.

    No entry is in two live payouts, and what is booked was not deleted.
    """
    live = PayoutItem.objects.filter(is_live=True)
    found = [
        f"entry {row['entry_id']} is in {row['rows']} live payouts"
        for part in _of_payouts(live, "payout_id", scope)
        for row in _shared(part, scope)
    ]
    payouts = Payout.objects.select_related("batch")
    for batch in in_batches(_of_payouts(payouts, "pk", scope)):
        paid_out = {"payout_id__in": [payout.pk for payout in batch]}
        items = _sums(live.filter(**paid_out), "entry__amount")
        booked = _sums(LedgerEntry.objects.payments().filter(**paid_out))
        for payout in batch:
            problems = _problems(payout, items.get(payout.pk, 0), booked.get(payout.pk, 0))
            found += [f"payout {payout.pk} is {problem}" for problem in problems]
    return found + sorted(set(_gone(scope)))


def _gone(scope: Scope) -> Iterator[str]:
    """Name the payouts that were booked and are not here: no foreign key keeps their rows."""
    booked = LedgerEntry.objects.payments().exclude(payout_id=None)
    if scope.since:
        booked = booked.filter(created_at__gte=scope.since)
    for part in batches(keys([booked], "payout_id")):
        known = set(Payout.objects.filter(pk__in=part).values_list("pk", flat=True))
        yield from (f"payout {pk} is booked and was deleted" for pk in part if pk not in known)


def _of_payouts(rows: QuerySet[Any], field: str, scope: Scope) -> Iterator[QuerySet[Any]]:
    """Yield the rows to look at, in parts; `field` is the key of their payout."""
    if scope.since is None:
        yield rows
        return
    moved = Payout.objects.filter(updated_at__gte=scope.since)
    booked = LedgerEntry.objects.payments().filter(created_at__gte=scope.since)
    changed = {*keys([moved], "pk"), *keys([booked.exclude(payout_id=None)], "payout_id")}
    for part in batches(sorted(changed)):
        yield rows.filter(**{f"{field}__in": part})


def _shared(items: QuerySet[PayoutItem], scope: Scope) -> Iterator[dict[str, Any]]:
    """Yield the entries that are in several live payouts, of which one at least is among these."""
    if scope.since is None:
        yield from repeated(items, "entry_id")
        return
    for part in batches(keys([items], "entry_id")):
        live = PayoutItem.objects.filter(is_live=True, entry_id__in=part)
        yield from repeated(live, "entry_id")


def _sums(rows: QuerySet[Any], column: str = "amount") -> dict[Any, int]:
    summed = rows.order_by().values("payout_id").annotate(sum=Sum(column))
    return {row["payout_id"]: row["sum"] for row in summed}


def _problems(payout: Payout, items: int, booked: int) -> list[str]:
    expected_items = payout.amount if payout.status in Payout.LIVE else 0
    expected_booking = -payout.amount if payout.status in Payout.BOOKED else 0
    found = []
    if payout.status not in (payout.batch.status, Payout.CANCELLED):
        found.append(f"{payout.status} and its batch {payout.batch.status}")
    if items != expected_items:
        found.append(f"{payout.amount} and its live entries add up to {items}")
    if booked != expected_booking:
        found.append(f"{payout.status} and booked with {booked}")
    return found


def check_two_persons(scope: Scope = ALL) -> list[str]:
    """Decisions, "payouts": nobody released what they drafted, nor what pays themselves."""
    alone = PayoutBatch.objects.filter(released_by=F("drafted_by")).values_list("pk", flat=True)
    found = [f"payout batch {pk} was drafted and released by one person" for pk in alone]
    booked = Payout.objects.filter(status__in=Payout.BOOKED)
    persons = booked.values_list("pk", "batch__released_by", "affiliate__user")
    return found + [
        f"payout {pk} was released by whoever it pays"
        for batch in in_batches(_of_payouts(persons, "pk", scope))
        for pk, released_by, user in batch
        if released_by == user
    ]
