"""What must hold of affiliates' balances and commissions, computed anew from the entries."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Q, QuerySet

from affiliates import commissions
from affiliates.models import (
    Affiliate,
    Balance,
    Commission,
    LedgerEntry,
    Payout,
    PayoutItem,
)
from enrollments import fulfillment
from enrollments.models import SOLD, Enrollment
from legacy.models import ImportedRow
from maaledu.money import share
from operations.invariants.reading import (
    ALL,
    BATCH,
    Scope,
    batches,
    confirmed,
    in_batches,
    keys,
)
from payments import outcomes
from payments.models import EarlyFraudWarning
from payments.outcomes import PaymentOutcome

LOOKS = 10
Account = tuple[UUID, str]
Sums = dict[Account, Counter[str]]


class Figures(NamedTuple):
    """The columns of a balance, in minor units."""

    pending: int = 0
    payable: int = 0
    paid: int = 0
    held: int = 0

    @classmethod
    def of(cls, balance: Balance) -> "Figures":
        return cls(balance.pending, balance.payable, balance.paid, balance.held)


def check_balances(scope: Scope = ALL) -> list[str]:
    """I6: each balance is what its entries add up to, and every entry has a balance.

    An account that differs is read again by itself, because entries may have been booked between
    the first reads.
    """
    return [
        line
        for batch in in_batches(_accounts(scope))
        for key in _doubtful(batch)
        if (line := _difference(key))
    ]


def _accounts(scope: Scope) -> Iterator[QuerySet[Any]]:
    """Yield the keys of the affiliates to look at, in parts: those for whom something was booked,
    held or has matured.
    """
    affiliates = Affiliate.objects.values_list("pk", flat=True)
    if scope.since is None:
        yield affiliates
        return
    booked = LedgerEntry.objects.filter(created_at__gte=scope.since)
    held = Commission.objects.filter(updated_at__gte=scope.since)
    matured = Balance.objects.filter(matured_through__gte=scope.since)
    for part in batches(sorted(set(keys([booked, held, matured], "affiliate_id")))):
        yield affiliates.filter(pk__in=part)


def _doubtful(affiliates: list[UUID]) -> list[Account]:
    balances = {
        (b.affiliate_id, b.currency): b for b in Balance.objects.filter(affiliate__in=affiliates)
    }
    sums = _sums(
        LedgerEntry.objects.filter(affiliate__in=affiliates),
        {key: b.matured_through for key, b in balances.items()},
    )
    held = _held(affiliate__in=affiliates)
    return [
        key
        for key in {**balances, **sums}
        if key not in balances or Figures.of(balances[key]) != _expected(key, sums, held)
    ]


def _difference(key: Account) -> str:
    """Return what is wrong with one account, or "" for nothing.

    Its entries are read between two reads of its balance. A booking moves the balance in the same
    transaction, so that an unchanged version says that nothing was booked meanwhile. An account
    that is busy at every look is left to the next check.
    """
    for _ in range(LOOKS):
        before = Balance.objects.filter(affiliate_id=key[0], currency=key[1]).first()
        sums = _sums(LedgerEntry.objects.of(*key), {key: before.matured_through} if before else {})
        expected = _expected(key, sums, _held(affiliate_id=key[0]))
        after = Balance.objects.filter(affiliate_id=key[0], currency=key[1]).first()
        if before and after and before.version == after.version:
            stored = Figures.of(after)
            wrong = f"balance {after.pk} says {stored}, its entries say {expected}"
            return wrong if stored != expected else ""
        if before is None and after is None:
            return f"entries of affiliate {key[0]} in {key[1]} have no balance" if sums else ""
    return ""


def _expected(key: Account, sums: Sums, held: Counter[Account]) -> Figures:
    return Figures(**sums.get(key, Counter()), held=held[key])


def _sums(entries: QuerySet[LedgerEntry], matured: dict[Account, datetime]) -> Sums:
    sums: Sums = defaultdict(Counter)
    columns = ("affiliate_id", "currency", "kind", "amount", "available_at")
    for *account, kind, amount, at in entries.order_by().values_list(*columns).iterator(BATCH):
        key = (account[0], account[1])
        if kind in LedgerEntry.PAYMENTS:
            sums[key]["payable"] += amount
            sums[key]["paid"] -= amount
        else:
            is_pending = key not in matured or at > matured[key]
            sums[key]["pending" if is_pending else "payable"] += amount
    return sums


def _held(**of: Any) -> Counter[Account]:
    """Return what each account has on hold: of a sale in doubt, what no payout has paid out.

    A debt is never held.
    """
    in_doubt = Q(is_disputed=True) | Q(is_under_review=True)
    doubted = {c.enrollment_id: c for c in Commission.objects.filter(in_doubt, **of).order_by()}
    items = PayoutItem.objects.filter(
        is_live=True, entry__enrollment_id__in=list(doubted)
    ).select_related("entry", "payout")
    taken: Counter[UUID | None] = Counter()
    for item in items if doubted else ():
        taken[item.entry.enrollment_id] += (
            item.amount if item.payout.status in (Payout.RELEASED, Payout.PAID) else 0
        )
    held: Counter[Account] = Counter()
    for key, commission in doubted.items():
        held[(commission.affiliate_id, commission.currency)] += max(commission.net - taken[key], 0)
    return held


@confirmed
def check_commissions(scope: Scope = ALL) -> list[str]:
    """I8: the entries of a sale add up to its commission less what is reversed of it."""
    found = []
    of_sales = LedgerEntry.objects.exclude(enrollment_id=None)
    for batch in in_batches(scope.of(of_sales.values_list("enrollment_id", flat=True))):
        known = Commission.objects.filter(enrollment_id__in=batch)
        gone = set(batch) - set(known.values_list("enrollment_id", flat=True))
        found += [f"entries of enrollment {key} have no commission" for key in gone]
    for batch in in_batches(scope.of(Commission.objects.all())):
        found += _misbooked(batch)
    return sorted(set(found))


def _misbooked(rows: list[Commission]) -> Iterator[str]:
    sums: Counter[UUID | None] = Counter()
    firsts: Counter[UUID | None] = Counter()
    entries = LedgerEntry.objects.filter(enrollment_id__in=[row.enrollment_id for row in rows])
    for key, kind, amount in entries.values_list("enrollment_id", "kind", "amount"):
        sums[key] += amount
        firsts[key] += kind == LedgerEntry.COMMISSION
    for row in rows:
        booked, times = sums[row.enrollment_id], firsts[row.enrollment_id]
        if booked != row.net or times != 1 or not 0 <= row.reversed <= row.amount:
            stored = f"{row.net} of {row.amount}"
            yield f"commission {row.pk} is {stored}, its {times} entries say {booked}"


@confirmed
def check_sales_are_credited(scope: Scope = ALL) -> list[str]:
    """I8, R075, R085: every referred sale has its commission, less the share of what went back.

    It is on hold exactly while a dispute is undecided, money is withdrawn or a warning is open.
    """
    sold = Enrollment.objects.filter(status__in=SOLD, affiliate_id__isnull=False)
    warned = set(EarlyFraudWarning.objects.open().values_list("payment_id", flat=True))
    found = []
    for batch in in_batches(scope.of(sold, "pk")):
        rows = Commission.objects.filter(enrollment_id__in=[e.pk for e in batch])
        by_key = {row.enrollment_id: row for row in rows}
        came_of = outcomes.outcomes_of(batch)
        for e in batch:
            commission, came = by_key.get(e.pk), came_of[e.pk]
            problem = _miscredited(e, commission, came_of=came, warned=warned)
            found += [f"enrollment {e.pk} {problem}"] if problem else []
    earned = Commission.objects.values_list("enrollment_id", flat=True)
    for batch in in_batches(scope.of(earned)):
        known = set(sold.filter(pk__in=batch).values_list("pk", flat=True))
        unsold = [key for key in batch if key not in known]
        found += [f"commission of enrollment {key} has no referred sale" for key in unsold]
    return found


def _miscredited(
    enrollment: Enrollment,
    commission: Commission | None,
    *,
    came_of: list[PaymentOutcome],
    warned: Collection[UUID | None],
) -> str:
    """Return what is wrong about one sale's commission, or "" for nothing."""
    sale = fulfillment.sale_of(enrollment)
    due = share(sale.base, sale.rate_basis_points) if sale and sale.amount_paid else 0
    if commission is None:
        return f"earned {due} and has no commission" if due else ""
    # The cap is a setting, which may have been another one at the time of the sale.
    capped = min(due, enrollment.amount)
    is_due = commission.amount in (due, capped) or _is_as_imported(commission)
    if not is_due or commission.affiliate_id != enrollment.affiliate_id:
        return f"earned {due}, its commission says {commission.amount}"
    outcome = next((each for each in came_of if each.payment.is_fulfilling), None)
    if outcome is None:
        is_over = enrollment.status in Enrollment.OVER and not commission.net
        # The old platform has paid some for what was free.
        is_good = is_over or _is_as_imported(commission)
        return "" if is_good else "has a commission and no payment"
    back = commissions.reversed_part(
        commission.amount, refunded=outcome.reversed_amount, paid=outcome.paid
    )
    is_held = outcome.is_in_doubt(is_warned=outcome.payment.pk in warned)
    return (
        ""
        if (commission.reversed, commission.is_disputed) == (back, is_held)
        else f"should have {back} reversed and {'be' if is_held else 'not be'} on hold"
    )


def _is_as_imported(commission: Commission) -> bool:
    """Whether the old platform paid this commission so, whatever price explains it."""
    return ImportedRow.objects.filter(
        role=ImportedRow.COMMISSION, target_id=commission.pk, amount=commission.amount
    ).exists()
