"""What must hold of refunds, the ledger and payouts, each as one check that names the rows for
which it does not.

Everything is computed anew from the entries, refunds and disputes. Source: contracts/reliability,
I6 to I9.
"""

import functools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Count, F

from affiliates import commissions
from affiliates.models import Balance, Commission, LedgerEntry, Payout, PayoutBatch, PayoutItem
from enrollments import fulfillment, lms_jobs
from enrollments.models import Enrollment
from lms_sync.models import SyncJob
from maaledu.money import share
from payments import reversals
from payments.models import Dispute, Payment, Refund

BATCH = 500
LOOKS = 10
Account = tuple[UUID, str]
Check = Callable[[], list[str]]


def lasting(check: Check) -> Check:
    """Have a check report only what it finds a second time, too: the shop goes on while it reads
    table after table.
    """

    @functools.wraps(check)
    def checked() -> list[str]:
        found = check()
        still = set(check()) if found else set()
        return [line for line in found if line in still]

    return checked


def check_balances() -> list[str]:
    """I6: each balance is what its entries add up to, and every entry has a balance.

    One that seems not to be is looked at by itself: what was booked between the reads is no
    contradiction.
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
        if key not in balances or _stored(balances[key]) != _expected(key, sums, held)
    ]
    return [line for key in doubtful if (line := _difference(key))]


def _difference(key: Account) -> str:
    """Return what is wrong with one account, "" for nothing: read between two looks at its balance
    that agree.

    Whatever is booked moves the balance in the same transaction. One on which something is booked
    at every look is left to the next check.
    """
    for _ in range(LOOKS):
        before = Balance.objects.filter(affiliate_id=key[0], currency=key[1]).first()
        entries = LedgerEntry.objects.of(*key).order_by().iterator(BATCH)
        sums = _sums(entries, {key: before.matured_through} if before else {})
        expected = _expected(key, sums, _held(affiliate_id=key[0]))
        after = Balance.objects.filter(affiliate_id=key[0], currency=key[1]).first()
        if before and after and before.version == after.version:
            wrong = (
                f"balance {after.pk} says {_stored(after)} (pending, payable, paid, held), its"
                f" entries say {expected}"
            )
            return wrong if _stored(after) != expected else ""
        if before is None and after is None:
            return f"entries of affiliate {key[0]} in {key[1]} have no balance" if sums else ""
    return ""


def _stored(balance: Balance) -> tuple[int, ...]:
    return balance.pending, balance.payable, balance.paid, balance.held


def _expected(
    key: Account, sums: dict[Account, tuple[int, int, int]], held: Counter[Account]
) -> tuple[int, ...]:
    return *sums.get(key, (0, 0, 0)), held[key]


def _sums(
    entries: Iterable[LedgerEntry], matured: dict[Account, datetime]
) -> dict[Account, tuple[int, int, int]]:
    sums: dict[Account, list[int]] = defaultdict(lambda: [0, 0, 0])
    for entry in entries:
        key = (entry.affiliate_id, entry.currency)
        if entry.kind in LedgerEntry.PAYMENTS:
            sums[key][1] += entry.amount
            sums[key][2] -= entry.amount
        else:
            is_pending = key not in matured or entry.available_at > matured[key]
            sums[key][0 if is_pending else 1] += entry.amount
    return {key: (pending, payable, paid) for key, (pending, payable, paid) in sums.items()}


def _held(**of: Any) -> Counter[Account]:
    """Return what each account has on hold: of a sale in doubt, what no released or paid payout has
    taken; a debt is never held.
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


@lasting
def check_commissions() -> list[str]:
    """I8: the entries of a sale add up to its commission less what is reversed, never below 0 nor
    above the commission.
    """
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


@lasting
def check_sales_are_credited() -> list[str]:
    """I8, R075, R085: every referred sale has its commission, of the price before discount, as far
    as it was not undone.
    """
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
    # whether there is a cap is a setting, which may have been another one then
    capped = min(due, enrollment.amount)
    if commission.amount not in (due, capped) or commission.affiliate_id != enrollment.affiliate_id:
        return f"earned {due}, its commission says {commission.amount}"
    payment = next((p for p in enrollment.payments.all() if p.is_fulfilling), None)
    if payment is None:
        is_over = enrollment.status == Enrollment.REFUNDED and not commission.net
        return "" if is_over else "has a commission and no payment"
    standing = reversals.standing_of(payment)
    refunded = standing.paid if standing.is_undone else standing.refunded
    back = commissions.taken_back(commission.amount, refunded=refunded, paid=standing.paid)
    return (
        ""
        if (commission.reversed, commission.is_disputed) == (back, standing.is_disputed)
        else f"should have {back} reversed"
    )


@lasting
def check_payouts() -> list[str]:
    """I9: a live payout is the sum of its entries, no entry is in two, and it is booked exactly
    while it is released or paid.
    """
    shared = (
        PayoutItem.objects.filter(is_live=True)
        .order_by()
        .values("entry_id")
        .annotate(rows=Count("pk"))
        .filter(rows__gt=1)
    )
    found = [f"entry {row['entry_id']} is in {row['rows']} live payouts" for row in shared]
    booked: Counter[UUID | None] = Counter()
    for entry in LedgerEntry.objects.movements_of_money().order_by().iterator(BATCH):
        booked[entry.payout_id] += entry.amount
    for payout in Payout.objects.select_related("batch").order_by().iterator(BATCH):
        if payout.status not in (payout.batch.status, Payout.CANCELLED):
            found.append(
                f"payout {payout.pk} is {payout.status} and its batch {payout.batch.status}"
            )
        items = sum(item.amount for item in payout.items.filter(is_live=True))
        if items != (payout.amount if payout.status in Payout.LIVE else 0):
            found.append(
                f"payout {payout.pk} is {payout.amount} and its live entries add up to {items}"
            )
        if booked[payout.pk] != (
            -payout.amount if payout.status in (Payout.RELEASED, Payout.PAID) else 0
        ):
            found.append(
                f"payout {payout.pk} is {payout.status} and booked with {booked[payout.pk]}"
            )
    return found


def check_two_persons() -> list[str]:
    """Decisions, "payouts": nobody released what they drafted, nor what pays themselves."""
    alone = PayoutBatch.objects.filter(released_by=F("drafted_by")).values_list("pk", flat=True)
    found = [f"payout batch {pk} was drafted and released by one person" for pk in alone]
    booked = (
        Payout.objects.filter(status__in=Payout.BOOKED)
        .select_related("batch", "affiliate")
        .order_by()
    )
    own = (
        payout
        for payout in booked.iterator(BATCH)
        if payout.batch.released_by_id == payout.affiliate.user_id
    )
    return found + [f"payout {payout.pk} was released by whoever it pays" for payout in own]


@lasting
def check_refunds() -> list[str]:
    """I7: what is committed to refunds of a payment is their sum, and never more than was
    received.
    """
    sums: Counter[UUID | None] = Counter()
    for refund in Refund.objects.exclude(status=Refund.FAILED).order_by().iterator(BATCH):
        sums[refund.payment_id] += refund.amount
    received = Payment.objects.filter(status=Payment.PAID).order_by()
    return [
        f"payment {p.pk} received {p.amount_received}, has {p.refund_committed} committed to"
        f" refunds, which add up to {sums[p.pk]}"
        for p in received.iterator(BATCH)
        if p.refund_committed != sums[p.pk] or sums[p.pk] > (p.amount_received or 0)
    ]


@lasting
def check_undone_places() -> list[str]:
    """I11: a place has ended by refund exactly where its payment was taken back whole, and its
    access is on the way out.
    """
    found = [
        f"enrollment {key} is paid and its payment was taken back whole"
        for key in _paid_by_nothing()
    ]
    for enrollment in Enrollment.objects.filter(status=Enrollment.REFUNDED).iterator(BATCH):
        if not _is_undone(enrollment):
            found.append(f"enrollment {enrollment.pk} is refunded and its payment is not")
        has_access = enrollment.lms_status == Enrollment.LMS_SUCCESS and settings.REVOKE_ON_REFUND
        if (
            has_access
            and not SyncJob.objects.filter(dedupe_key=lms_jobs.revocation_key(enrollment)).exists()
        ):
            found.append(
                f"enrollment {enrollment.pk} is refunded, has access, and no job takes it away"
            )
    return found


def _is_undone(enrollment: Enrollment) -> bool:
    """Whether nothing pays for the place any more; a payment that was set aside as one too many
    does not.
    """
    payments = [payment for payment in enrollment.payments.all() if payment.status == Payment.PAID]
    return bool(payments) and all(
        reversals.standing_of(payment).is_undone for payment in payments if payment.is_fulfilling
    )


def _paid_by_nothing() -> list[UUID]:
    refunded = (
        Refund.objects.filter(status=Refund.SUCCEEDED)
        .exclude(payment=None)
        .values_list("payment_id", flat=True)
    )
    lost = (
        Dispute.objects.filter(status=Dispute.LOST)
        .exclude(payment=None)
        .values_list("payment_id", flat=True)
    )
    touched = (
        Payment.objects.select_related("enrollment").get(pk=key)
        for key in sorted({*refunded, *lost})
    )
    paid = (
        payment
        for payment in touched
        if payment.is_fulfilling and payment.enrollment.status == Enrollment.PAID
    )
    return [payment.enrollment_id for payment in paid if reversals.standing_of(payment).is_undone]


CHECKS: tuple[Check, ...] = (
    check_balances,
    check_commissions,
    check_sales_are_credited,
    check_payouts,
    check_two_persons,
    check_refunds,
    check_undone_places,
)
