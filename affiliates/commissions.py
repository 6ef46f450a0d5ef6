"""A commission's life: accrued when a sale is paid, taken back in proportion to what is refunded,
held while in doubt.

Source: decisions, "commission" and "commission life"; R075: the base is the price before any
discount.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db.models import Max
from django.utils import timezone

from affiliates import holds, ledger, visits
from affiliates.models import Affiliate, Commission, LedgerEntry
from affiliates.own_account import refuse_own
from courses.discounts import Price
from maaledu.db import atomic
from maaledu.money import format_money, round_half_up, share

logger = logging.getLogger(__name__)

CAPPED = "amount_paid"


@dataclass(frozen=True)
class Sale:
    """A paid enrollment as the affiliate's account sees it: facts copied at checkout, amounts in
    minor units.
    """

    enrollment_id: UUID
    affiliate_id: UUID
    course_slug: str
    course_title: str
    base: int
    rate_basis_points: int
    amount_paid: int
    currency: str


def amount_of(sale: Sale) -> int:
    """Return what a sale earns, in minor units: base x rate, half up; nothing on a free one
    (decisions: commission).
    """
    return earned(sale.base, sale.rate_basis_points, paid=sale.amount_paid)


def earned(base: int, rate_basis_points: int, *, paid: int) -> int:
    """Return what a sale at this base would earn at this rate; `paid` is what the buyer pays, all
    in minor units.
    """
    amount = share(base, rate_basis_points) if paid else 0
    return min(amount, paid) if settings.COMMISSION_CAP == CAPPED else amount


@atomic
def accrue(sale: Sale, *, actor: str) -> bool:
    """Count a sale that this transaction has just made paid, and book its commission; return
    whether there is one.
    """
    amount = amount_of(sale)
    if amount:
        _book_commission(sale, amount, actor)
    visits.count_purchase(sale.affiliate_id, sale.course_slug, sale.currency, earned=amount)
    return bool(amount)


def _book_commission(sale: Sale, amount: int, actor: str) -> None:
    now = timezone.now()
    available_at = ledger.available_from(now, settings.COMMISSION_HOLD)
    Commission(
        enrollment_id=sale.enrollment_id,
        affiliate_id=sale.affiliate_id,
        course_slug=sale.course_slug,
        course_title=sale.course_title,
        base=sale.base,
        rate_basis_points=sale.rate_basis_points,
        amount=amount,
        currency=sale.currency,
        available_at=available_at,
    ).save(force_insert=True)
    entry = LedgerEntry(
        affiliate_id=sale.affiliate_id,
        kind=LedgerEntry.COMMISSION,
        amount=amount,
        currency=sale.currency,
        base=sale.base,
        rate_basis_points=sale.rate_basis_points,
        enrollment_id=sale.enrollment_id,
        source_key=f"commission:{sale.enrollment_id}",
        available_at=available_at,
        created_by=actor,
        note=sale.course_title,
    )
    ledger.write(entry)
    logger.info(
        "commission accrued", extra={"enrollment": str(sale.enrollment_id), "amount": amount}
    )


def ensure(sale: Sale, *, actor: str) -> bool:
    """Book the commission of a paid sale unless it is booked; return whether this call did.

    A sale that earns nothing has none to tell it by: it was counted when it was paid, and is left
    alone.
    """
    if not amount_of(sale) or Commission.objects.filter(enrollment_id=sale.enrollment_id).exists():
        return False
    return accrue(sale, actor=actor)


def taken_back(amount: int, *, refunded: int, paid: int) -> int:
    """Return how much of a commission is taken back once `refunded` of `paid` is, in minor units.

    In proportion, half up, of the running total: the parts of any number of refunds add up to the
    whole, to the cent.
    """
    return amount if refunded >= paid else round_half_up(amount * refunded, paid)


@atomic
def settle(enrollment_id: UUID, *, refunded: int, paid: int, is_disputed: bool, actor: str) -> bool:
    """Make the commission of this sale say what the refunds and disputes of it come to; return
    whether anything changed.

    The whole of both is given, not a step, so that it may be said again and in any order.
    """

    def wanted(commission: Commission) -> None:
        commission.reversed = taken_back(commission.amount, refunded=refunded, paid=paid)
        commission.is_disputed = is_disputed

    def note(commission: Commission) -> str:
        return (
            f"{format_money(refunded, commission.currency)} of"
            f" {format_money(paid, commission.currency)} refunded"
        )

    return _change(enrollment_id, wanted, actor=actor, note=note)


@atomic
def review(enrollment_id: UUID, *, hold: bool, by: str, note: str) -> bool:
    """Hold a commission for review, or release it; return whether this call did. A dispute's hold
    stays. Raises OwnAccount.
    """
    rows = Commission.objects.filter(enrollment_id=enrollment_id).select_related("affiliate")
    refuse_own([commission.affiliate for commission in rows], by=by)

    def wanted(commission: Commission) -> None:
        commission.is_under_review, commission.review_note = hold, f"{note} ({by})"[:300]

    return _change(enrollment_id, wanted, actor=by, note=lambda _: note)


def _change(
    enrollment_id: UUID,
    wanted: Callable[[Commission], None],
    *,
    actor: str,
    note: Callable[[Commission], str],
) -> bool:
    rows = Commission.objects.filter(enrollment_id=enrollment_id)
    # Written before it is read: whoever else settles this sale is done by now, or waits for us.
    if rows.update(updated_at=timezone.now()) != 1:
        return False
    commission = rows.get()
    before, was_held, was_reversed = _facts(commission), commission.is_held, commission.reversed
    wanted(commission)
    if _facts(commission) == before:
        return False
    step = was_reversed - commission.reversed
    if step:
        commission.steps += 1
    commission.save(
        update_fields=["reversed", "steps", "is_disputed", "is_under_review", "review_note"]
    )
    _book(commission, step, actor=actor, note=note(commission))
    if was_held or commission.is_held:
        holds.recount(commission.affiliate_id, commission.currency)
    return True


def _facts(commission: Commission) -> tuple[int, bool, bool]:
    return commission.reversed, commission.is_disputed, commission.is_under_review


def _book(commission: Commission, step: int, *, actor: str, note: str) -> None:
    if not step:
        ledger.take_turn(commission.affiliate_id, commission.currency)
        return
    entry = LedgerEntry(
        affiliate_id=commission.affiliate_id,
        kind=LedgerEntry.REVERSAL,
        amount=step,
        currency=commission.currency,
        base=commission.base,
        rate_basis_points=commission.rate_basis_points,
        enrollment_id=commission.enrollment_id,
        source_key=f"reversal:{commission.enrollment_id}:{commission.steps}",
        available_at=commission.available_at,
        created_by=actor,
        note=f"{commission.course_title}: {note}"[:300],
    )
    ledger.write(entry)
    facts = {"enrollment": str(commission.enrollment_id), "amount": step, "actor": actor}
    logger.info("commission reversed", extra=facts)


def highest_rate() -> int:
    """Return the highest rate, in basis points, that a sale may have: an active affiliate's own, or
    that of a new one.
    """
    own = Affiliate.objects.filter(status=Affiliate.ACTIVE).aggregate(
        highest=Max("rate_basis_points")
    )["highest"]
    return max(own or 0, settings.AFFILIATE_RATE_BASIS_POINTS)


def commission_at(price: Price, rate_basis_points: int) -> int:
    """Return what a sale at this price would earn an affiliate with this rate, in minor units
    (decisions: commission).
    """
    return earned(price.list_price, rate_basis_points, paid=price.to_pay)
