"""What must hold of affiliates' balances and commissions, computed anew from the entries."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from affiliates import commissions
from affiliates.models import Balance, Commission, LedgerEntry, Payout, PayoutItem
from enrollments import fulfillment
from enrollments.models import Enrollment
from maaledu.money import share
from operations.invariants.reading import BATCH, confirmed
from payments import outcomes

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


def check_balances() -> list[str]:
    """I6: each balance is what its entries add up to, and every entry has a balance.

    An account that differs is read again by itself, because entries may have been booked between
    the first reads.
    """
    balances = {(b.affiliate_id, b.currency): b for b in Balance.objects.all()}
    sums = _sums(
        LedgerEntry.objects.order_by().iterator(BATCH),
        {key: b.matured_through for key, b in balances.items()},
    )
    held = _held()
    doubtful = [
        key
        for key in {**balances, **sums}
        if key not in balances or Figures.of(balances[key]) != _expected(key, sums, held)
    ]
    return [line for key in doubtful if (line := _difference(key))]


def _difference(key: Account) -> str:
    """Return what is wrong with one account, or "" for nothing.

    Its entries are read between two reads of its balance. A booking moves the balance in the same
    transaction, so that an unchanged version says that nothing was booked meanwhile. An account
    that is busy at every look is left to the next check.
    """
    for _ in range(LOOKS):
        before = Balance.objects.filter(affiliate_id=key[0], currency=key[1]).first()
        entries = LedgerEntry.objects.of(*key).order_by().iterator(BATCH)
        sums = _sums(entries, {key: before.matured_through} if before else {})
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


def _sums(entries: Iterable[LedgerEntry], matured: dict[Account, datetime]) -> Sums:
    sums: Sums = defaultdict(Counter)
    for entry in entries:
        key = (entry.affiliate_id, entry.currency)
        if entry.kind in LedgerEntry.PAYMENTS:
            sums[key]["payable"] += entry.amount
            sums[key]["paid"] -= entry.amount
        else:
            is_pending = key not in matured or entry.available_at > matured[key]
            sums[key]["pending" if is_pending else "payable"] += entry.amount
    return sums


def _held(**of: Any) -> Counter[Account]:
    """Return what each account has on hold: of a sale in doubt, what no payout has paid out.

    A debt is never held.
    """
    doubted = {
        c.enrollment_id: c
        for c in Commission.objects.filter(**of).order_by().iterator(BATCH)
        if c.is_held
    }
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
def check_commissions() -> list[str]:
    """I8: the entries of a sale add up to its commission less what is reversed of it."""
    sums: Counter[UUID | None] = Counter()
    firsts: Counter[UUID | None] = Counter()
    for entry in LedgerEntry.objects.exclude(enrollment_id=None).order_by().iterator(BATCH):
        sums[entry.enrollment_id] += entry.amount
        firsts[entry.enrollment_id] += entry.kind == LedgerEntry.COMMISSION
    rows = {c.enrollment_id: c for c in Commission.objects.order_by().iterator(BATCH)}
    found = [f"entries of enrollment {key} have no commission" for key in sums if key not in rows]
    for key, commission in rows.items():
        if (
            sums[key] != commission.net
            or firsts[key] != 1
            or not 0 <= commission.reversed <= commission.amount
        ):
            stored = f"{commission.net} of {commission.amount}"
            found.append(
                f"commission {commission.pk} is {stored}, its {firsts[key]} entries say {sums[key]}"
            )
    return found


@confirmed
def check_sales_are_credited() -> list[str]:
    """I8, R075, R085: every referred sale has its commission, less the share of what went back."""
    rows = {c.enrollment_id: c for c in Commission.objects.order_by().iterator(BATCH)}
    sold = Enrollment.objects.filter(status__in=[Enrollment.PAID, Enrollment.REFUNDED]).exclude(
        affiliate_id=None
    )
    found = []
    for enrollment in sold.iterator(BATCH):
        problem = _miscredited(enrollment, rows.pop(enrollment.pk, None))
        found += [f"enrollment {enrollment.pk} {problem}"] if problem else []
    return found + [f"commission of enrollment {key} has no referred sale" for key in rows]


def _miscredited(enrollment: Enrollment, commission: Commission | None) -> str:
    sale = fulfillment.sale_of(enrollment)
    due = share(sale.base, sale.rate_basis_points) if sale and sale.amount_paid else 0
    if commission is None:
        return f"earned {due} and has no commission" if due else ""
    # The cap is a setting, which may have been another one at the time of the sale.
    capped = min(due, enrollment.amount)
    if commission.amount not in (due, capped) or commission.affiliate_id != enrollment.affiliate_id:
        return f"earned {due}, its commission says {commission.amount}"
    payment = next((p for p in enrollment.payments.all() if p.is_fulfilling), None)
    if payment is None:
        is_over = enrollment.status == Enrollment.REFUNDED and not commission.net
        return "" if is_over else "has a commission and no payment"
    outcome = outcomes.outcome_of(payment)
    back = commissions.reversed_part(
        commission.amount, refunded=outcome.reversed_amount, paid=outcome.paid
    )
    return (
        ""
        if (commission.reversed, commission.is_disputed) == (back, outcome.is_disputed)
        else f"should have {back} reversed"
    )
