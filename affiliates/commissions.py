"""Commissions: accrued when a sale is paid, reversed with its refunds, held while in doubt.

Source: decisions, "commission" and "commission life"; R075: the base is the price before any
discount.
"""

import logging
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from affiliates import holds, ledger, sale_mails, visits
from affiliates.models import Affiliate, Commission, LedgerEntry
from affiliates.models.ledger import REASON_SEPARATOR
from affiliates.own_account import refuse_own
from maaledu.db import atomic
from maaledu.money import Money, round_half_up, share

logger = logging.getLogger(__name__)

CAPPED = "amount_paid"


@dataclass(frozen=True)
class Sale:
    """A paid enrollment: facts copied at its checkout, amounts in minor units."""

    enrollment_id: UUID
    affiliate_id: UUID
    course_slug: str
    course_title: str
    base: int
    rate_basis_points: int
    amount_paid: int
    currency: str
    sold_at: datetime = field(default_factory=timezone.now)
    label: str = ""  # of the affiliate's link, only counted
    is_mailed: bool = False  # as the affiliate wanted it when the checkout began

    @property
    def commission(self) -> int:
        return earned(self.base, self.rate_basis_points, paid=self.amount_paid)


# --- accruing -------------------------------------------------------------------------------------
def earned(base: int, rate_basis_points: int, *, paid: int) -> int:
    """Return what a sale earns: base x rate, half up; nothing where nothing is paid.

    `base` is the list price, `paid` what the buyer pays, all in minor units (decisions:
    commission).
    """
    amount = share(base, rate_basis_points) if paid else 0
    return min(amount, paid) if settings.COMMISSION_CAP == CAPPED else amount


def highest_rates() -> QuerySet[Affiliate, int]:
    """Return the rates of the active affiliates in basis points, the highest first."""
    active = Affiliate.objects.filter(status=Affiliate.ACTIVE).order_by("-rate_basis_points")
    return active.values_list("rate_basis_points", flat=True)


def highest_rate() -> int:
    """Return the highest rate, in basis points, of an active or a new affiliate."""
    return at_least_usual(highest_rates().first())


def at_least_usual(rate: int | None) -> int:
    """Return the higher one of a rate and that of new affiliates, in basis points."""
    return max(rate or 0, settings.AFFILIATE_RATE_BASIS_POINTS)


@atomic
def accrue(sale: Sale, *, actor: str) -> bool:
    """Count a sale that this transaction has made paid and book its commission, if it has one."""
    amount = sale.commission
    if amount:
        _book_commission(sale, amount, actor)
    visits.count_purchase(
        sale.affiliate_id, sale.course_slug, sale.currency, earned=amount, label=sale.label
    )
    return bool(amount)


def ensure(sale: Sale, *, actor: str) -> bool:
    """Book the commission of a paid sale unless it is booked; return whether this call did.

    A sale that earns nothing is left alone: it has no commission that would show whether it was
    counted, and would be counted again.
    """
    if not sale.commission or Commission.objects.filter(enrollment_id=sale.enrollment_id).exists():
        return False
    return accrue(sale, actor=actor)


def _book_commission(sale: Sale, amount: int, actor: str) -> None:
    common: dict[str, Any] = {
        "enrollment_id": sale.enrollment_id,
        "affiliate_id": sale.affiliate_id,
        "base": sale.base,
        "rate_basis_points": sale.rate_basis_points,
        "amount": amount,
        "currency": sale.currency,
        "available_at": ledger.available_from(sale.sold_at, settings.COMMISSION_HOLD),
    }
    Commission(course_slug=sale.course_slug, course_title=sale.course_title, **common).save(
        force_insert=True
    )
    entry = LedgerEntry(
        kind=LedgerEntry.COMMISSION,
        source_key=f"commission:{sale.enrollment_id}",
        created_by=actor,
        note=sale.course_title,
        **common,
    )
    ledger.write(entry)
    if sale.is_mailed:
        sale_mails.stage_one(sale.affiliate_id, entry)
    facts = {"enrollment": str(sale.enrollment_id), "amount": amount}
    logger.info("commission accrued", extra=facts)


# --- reversing and holding ------------------------------------------------------------------------
def reversed_part(amount: int, *, refunded: int, paid: int) -> int:
    """Return how much of a commission is reversed once `refunded` of `paid` is, in minor units.

    It is computed from the running total, half up, so the parts of any number of refunds add up to
    the whole commission, to the cent.
    """
    return amount if refunded >= paid else round_half_up(amount * refunded, paid)


@atomic
def settle(enrollment_id: UUID, *, refunded: int, paid: int, is_disputed: bool, actor: str) -> bool:
    """Make a sale's commission agree with its refunds and disputes; return whether it changed.

    The totals are given, not the last step, so calls may be repeated and come in any order.
    """
    commission = _locked(enrollment_id)
    if commission is None:
        return False
    target = reversed_part(commission.amount, refunded=refunded, paid=paid)
    if (commission.reversed, commission.is_disputed) == (target, is_disputed):
        return False
    step, was_held = commission.reversed - target, commission.is_held
    commission.reversed, commission.is_disputed = target, is_disputed
    commission.steps += 1 if step else 0
    commission.save(update_fields=["reversed", "steps", "is_disputed"])
    reason = (
        f"{Money(refunded, commission.currency)} of {Money(paid, commission.currency)} refunded"
    )
    _book_reversal(commission, step, actor=actor, reason=reason)
    if was_held or commission.is_held:
        holds.recount(commission.affiliate_id, commission.currency)
    return True


@atomic
def review(enrollment_id: UUID, *, hold: bool, by: str, note: str) -> bool:
    """Hold a commission for review or release it; return whether this call did. Raises OwnAccount.

    A dispute or a fraud warning keeps it on hold all the same.
    """
    refuse_own_sale(enrollment_id, by=by)
    commission = _locked(enrollment_id)
    if commission is None or commission.is_under_review == hold:
        return False
    commission.is_under_review, commission.review_note = hold, f"{note} ({by})"[:300]
    commission.save(update_fields=["is_under_review", "review_note"])
    ledger.lock_row(commission.affiliate_id, commission.currency)
    holds.recount(commission.affiliate_id, commission.currency)
    return True


def refuse_own_sale(enrollment_id: UUID, *, by: str) -> None:
    """Raise OwnAccount where the commission of this sale is that of the person who decides."""
    rows = Commission.objects.filter(enrollment_id=enrollment_id).select_related("affiliate")
    refuse_own([commission.affiliate for commission in rows], by=by)


def _locked(enrollment_id: UUID) -> Commission | None:
    rows = Commission.objects.filter(enrollment_id=enrollment_id)
    # Written before it is read, which locks the row: two calls that read first would both compute
    # their step from the same total, and book it twice.
    return rows.get() if rows.update(updated_at=timezone.now()) == 1 else None


def _book_reversal(commission: Commission, step: int, *, actor: str, reason: str) -> None:
    """Book `step` (minor units, negative for a reversal); without one only lock the balance."""
    if not step:
        ledger.lock_row(commission.affiliate_id, commission.currency)
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
        note=f"{commission.course_title}{REASON_SEPARATOR}{reason}"[:300],
    )
    ledger.write(entry)
    facts = {"enrollment": str(commission.enrollment_id), "amount": step, "actor": actor}
    logger.info("commission reversed", extra=facts)
