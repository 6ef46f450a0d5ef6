"""What staff decide about an affiliate: membership, rate, and corrections of the balance."""

from typing import Any

from django.db import IntegrityError

from affiliates import ledger, memberships
from affiliates.ledger import Adjustment
from affiliates.models import Affiliate
from maaledu.db import is_duplicate
from maaledu.money import Money, rate_text
from office.affiliate_forms import AdjustmentForm, RateForm, ReasonForm
from office.decisions import ONE_ROW, DecidedAlready, Decision, Outcome

FORM_WAS_SENT = (
    "This form was sent before, and its entry is booked. Open the page anew for another one."
)
HELD = "Their link credits nobody from now on, and what is unpaid is held."


def _approve(affiliate: Affiliate, *, by: str) -> bool:
    # memberships.approve also reinstates, which is a decision of its own here.
    return affiliate.status == Affiliate.APPLIED and memberships.approve(affiliate, by=by)


def _reinstate(affiliate: Affiliate, *, by: str) -> bool:
    has_left = affiliate.status in (Affiliate.SUSPENDED, Affiliate.CLOSED)
    return has_left and memberships.approve(affiliate, by=by)


def _change_rate(affiliate: Affiliate, *, by: str, rate: int) -> Outcome:
    before, after = rate_text(affiliate.rate_basis_points), rate_text(rate)
    if not memberships.change_rate(affiliate, rate, by=by):
        raise DecidedAlready(f"The rate is {after} already.")
    return Outcome(f"rate changed from {before} to {after}")


def _adjust(affiliate: Affiliate, *, by: str, **typed: Any) -> Outcome:
    adjustment = Adjustment(by=by, **typed)
    try:
        is_booked = ledger.adjust(affiliate, adjustment)
    except IntegrityError as error:
        if not is_duplicate(error):
            raise
        # The same form was sent twice at once, and the other request was first.
        is_booked = False
    if not is_booked:
        raise DecidedAlready(FORM_WAS_SENT)
    amount = Money(adjustment.amount, adjustment.currency)
    return Outcome(f"balance adjusted by {amount}: {adjustment.note}")


APPROVE = Decision(
    "Approve",
    run=_approve,
    permission="review",
    done="approved",
    consequence="Their link works from now on, and they are welcomed by e-mail.",
    statuses=(Affiliate.APPLIED,),
)
REINSTATE = Decision(
    "Reinstate",
    run=_reinstate,
    permission="review",
    done="reinstated",
    consequence="Their link works again, and what was held can be paid out.",
    statuses=(Affiliate.SUSPENDED, Affiliate.CLOSED),
)
SUSPEND = Decision(
    "Suspend",
    run=memberships.suspend,
    permission="review",
    done="suspended",
    form=ReasonForm,
    entry_field="reason",
    consequence=f"{HELD} They can be reinstated.",
    statuses=(Affiliate.ACTIVE,),
)
CLOSE = Decision(
    "Close affiliate",
    run=memberships.close,
    permission="review",
    done="closed",
    form=ReasonForm,
    entry_field="reason",
    consequence=f"{HELD} The partnership ends.",
    statuses=(Affiliate.APPLIED, Affiliate.ACTIVE, Affiliate.SUSPENDED),
)
CHANGE_RATE = Decision(
    "Change rate",
    run=_change_rate,
    permission="adjust",
    done="rate changed",
    form=RateForm,
    consequence="It counts for sales that are attributed from now on; earlier ones keep theirs.",
    statuses=(Affiliate.APPLIED, Affiliate.ACTIVE, Affiliate.SUSPENDED),
    scope=ONE_ROW,
)
ADJUST = Decision(
    "Adjust balance",
    run=_adjust,
    permission="adjust",
    done="balance adjusted",
    form=AdjustmentForm,
    consequence="An entry is booked that is payable at once. It is never changed or deleted.",
    scope=ONE_ROW,
)
