"""What a buyer reads about the payments of an enrollment.

Says that nothing was charged only where no money of theirs was received or is on its way.
"""

from dataclasses import dataclass

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from enrollments import coupons
from enrollments.models import Enrollment
from payments import outcomes, settlement
from payments.errors import EmailRefused, StripeKeyRefused, StripeRefused
from payments.models import Payment
from payments.outcomes import PaymentOutcome
from payments.refusal_table import BUYER, FOR_BUYER, PASSING, SETUP


@dataclass(frozen=True)
class Words:
    """A headline with its detail, and whether the buyer may start again.

    `state` is the page's, where it is not the enrollment's status.
    """

    headline: str
    detail: str
    may_retry: bool = True
    state: str = ""


NOT_STARTED = _("The payment could not be started")
# Why an enrollment ended for which no money was received.
WITHOUT_MONEY = {
    settlement.ASYNC_PAYMENT_FAILED: Words(
        _("Your payment did not go through"),
        _(
            "Your bank did not complete it, and nothing was charged. You can try again, with"
            " another method if you like."
        ),
    ),
    settlement.SESSION_EXPIRED: Words(
        _("The checkout has expired"),
        _("It ended without a payment. Nothing was charged, and you can start again."),
    ),
    settlement.LEARNER_CANCELLED: Words(
        _("You left the checkout"), _("Nothing was charged. You can come back whenever you like.")
    ),
    settlement.REPLACED: Words(
        _("This checkout was replaced"),
        _("You started again with another price, coupon or link. Nothing was charged here."),
    ),
    settlement.SUPERSEDED: Words(
        _("Another payment was used"),
        _(
            "An earlier payment for this course arrived after all, and you are enrolled by that"
            " one."
        ),
        may_retry=False,
    ),
    EmailRefused.code: Words(_("Your e-mail address was not accepted"), FOR_BUYER[BUYER]),
    StripeRefused.code: Words(NOT_STARTED, FOR_BUYER[SETUP]),
    StripeKeyRefused.code: Words(NOT_STARTED, FOR_BUYER[SETUP]),
    coupons.LMS_REFUSED: Words(
        _("Your course could not be set up"),
        _(
            "The learning platform did not accept the enrollment, so we cancelled it. You can use"
            " your grant's coupon again, and retry."
        ),
    ),
}
OTHERWISE = Words(NOT_STARTED, FOR_BUYER[PASSING])
ENDED_BY_REFUND = Words(
    _("Refunded"), _("This enrollment was refunded and has ended."), may_retry=False
)
ENDED_BY_STAFF = Words(
    _("Your enrollment has ended"),
    _(
        "Our team ended this free enrollment, and access to the course with it. If you think that"
        " this is a mistake, write to us."
    ),
    may_retry=False,
)
# What came of a payment whose enrollment has ended; {received} is its amount.
ENDED_WITH_MONEY = {
    outcomes.LOST: Words(
        _("Your bank returned your payment"),
        _(
            "Your bank decided in your favor and returned {received} to you. This enrollment has"
            " ended."
        ),
        may_retry=False,
    ),
    outcomes.REFUNDED: Words(_("Refunded"), _("Your payment of {received} was refunded.")),
    outcomes.DISPUTED: Words(
        _("Your bank has asked for your payment back"),
        _("We received {received}, and your bank has asked for it back. That is not settled yet."),
        may_retry=False,
        state="attention",
    ),
    Payment.AMOUNT_MISMATCH: Words(
        _("We are looking into your payment"),
        _(
            "We received a payment that is not the one we asked for. Our team knows about it and"
            " will write to you."
        ),
        may_retry=False,
        state="attention",
    ),
    Payment.DUPLICATE: Words(
        _("We received a second payment"),
        _(
            "You are enrolled by another payment for this course. Our team knows about the second"
            " one, of {received}, and will write to you."
        ),
        may_retry=False,
        state="attention",
    ),
    Payment.PROCESSING: Words(
        _("Your payment is on its way"),
        _(
            "Your bank is still working on a payment of {received}. If it arrives, our team will"
            " write to you."
        ),
        may_retry=False,
        state="processing",
    ),
}
RECEIVED = Words(
    _("We are looking into your payment"),
    _("We received {received}. Our team knows about it and will write to you."),
    may_retry=False,
    state="attention",
)
# What is said beside the state of an enrollment; {refunded} and {received} are amounts.
NOTES = {
    outcomes.REFUNDED_PARTLY: _("{refunded} of your payment of {received} was refunded."),
    outcomes.DISPUTED: (
        _("Your bank has asked for your payment of {received} back. That is not settled yet.")
    ),
    Payment.PROCESSING: _("Your bank is working on another payment, of {received}."),
    Payment.DUPLICATE: _(
        "We received a second payment, of {received}. Our team knows about it and will write to"
        " you."
    ),
    Payment.AMOUNT_MISMATCH: _(
        "We received {received}, which is not what we asked for. Our team knows about it and will"
        " write to you."
    ),
    outcomes.REFUNDED: _("Your payment of {received} was refunded."),
    outcomes.LOST: _("Your bank returned your payment of {received} to you."),
}


REFUNDING = _("A refund of {refunding} was requested and is on its way to you.")


def of_ended(enrollment: Enrollment, outcome: PaymentOutcome | None) -> Words:
    """Return what is said of an enrollment that has ended; `outcome` is of its main payment."""
    words = _of_ended(enrollment, outcome)
    detail = gettext(words.detail).format(received=outcome.received if outcome else "")
    return Words(gettext(words.headline), detail, words.may_retry, words.state)


def _of_ended(enrollment: Enrollment, outcome: PaymentOutcome | None) -> Words:
    if enrollment.status == Enrollment.WITHDRAWN:
        return ENDED_BY_STAFF
    if outcome is None or not outcome.is_money_received:
        if enrollment.status == Enrollment.REFUNDED:
            return ENDED_BY_REFUND
        return WITHOUT_MONEY.get(enrollment.failure_code, OTHERWISE)
    if enrollment.status == Enrollment.REFUNDED and outcome.state != outcomes.LOST:
        return ENDED_BY_REFUND
    return ENDED_WITH_MONEY.get(outcome.state, RECEIVED)


def notes(enrollment: Enrollment, found: list[PaymentOutcome]) -> list[str]:
    """Return what is said of the payments beside the headline, which speaks of the first one.

    For a paid enrollment the headline is about access, so that its own payment is among them.
    """
    beside = found if enrollment.status == Enrollment.PAID else found[1:]
    said = [
        gettext(NOTES[outcome.state]).format(
            received=outcome.received, refunded=outcome.refunded_money
        )
        for outcome in beside
        if outcome.state in NOTES
    ]
    refunding = [outcome.refunding_money for outcome in found if outcome.refunding]
    return said + [gettext(REFUNDING).format(refunding=amount) for amount in refunding]
