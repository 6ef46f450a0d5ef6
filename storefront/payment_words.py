"""What a buyer reads about the payments of an enrollment.

Says that nothing was charged only where no money of theirs was received or is on its way.
"""

from dataclasses import dataclass

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


NOT_STARTED = "The payment could not be started"
# Why an enrollment ended for which no money was received.
WITHOUT_MONEY = {
    settlement.ASYNC_PAYMENT_FAILED: Words(
        "Your payment did not go through",
        "Your bank did not complete it, and nothing was charged. You can try again, with another"
        " method if you like.",
    ),
    settlement.SESSION_EXPIRED: Words(
        "The checkout has expired",
        "It ended without a payment. Nothing was charged, and you can start again.",
    ),
    settlement.LEARNER_CANCELLED: Words(
        "You left the checkout", "Nothing was charged. You can come back whenever you like."
    ),
    settlement.REPLACED: Words(
        "This checkout was replaced",
        "You started again with another price, coupon or link. Nothing was charged here.",
    ),
    settlement.SUPERSEDED: Words(
        "Another payment was used",
        "An earlier payment for this course arrived after all, and you are enrolled by that one.",
        may_retry=False,
    ),
    EmailRefused.code: Words("Your e-mail address was not accepted", FOR_BUYER[BUYER]),
    StripeRefused.code: Words(NOT_STARTED, FOR_BUYER[SETUP]),
    StripeKeyRefused.code: Words(NOT_STARTED, FOR_BUYER[SETUP]),
    coupons.LMS_REFUSED: Words(
        "Your course could not be set up",
        "The learning platform did not accept the enrollment, so we cancelled it. You can use your"
        " grant's coupon again, and retry.",
    ),
}
OTHERWISE = Words(NOT_STARTED, FOR_BUYER[PASSING])
ENDED_BY_REFUND = Words("Refunded", "This enrollment was refunded and has ended.", may_retry=False)
# What came of a payment whose enrollment has ended; {received} is its amount.
ENDED_WITH_MONEY = {
    outcomes.LOST: Words(
        "Your bank returned your payment",
        "Your bank decided in your favor and returned {received} to you. This enrollment has"
        " ended.",
        may_retry=False,
    ),
    outcomes.REFUNDED: Words("Refunded", "Your payment of {received} was refunded."),
    outcomes.DISPUTED: Words(
        "Your bank has asked for your payment back",
        "We received {received}, and your bank has asked for it back. That is not settled yet.",
        may_retry=False,
        state="attention",
    ),
    Payment.AMOUNT_MISMATCH: Words(
        "We are looking into your payment",
        "We received a payment that is not the one we asked for. Our team knows about it and will"
        " write to you.",
        may_retry=False,
        state="attention",
    ),
    Payment.DUPLICATE: Words(
        "We received a second payment",
        "You are enrolled by another payment for this course. Our team knows about the second one,"
        " of {received}, and will write to you.",
        may_retry=False,
        state="attention",
    ),
    Payment.PROCESSING: Words(
        "Your payment is on its way",
        "Your bank is still working on a payment of {received}. We will e-mail you when it is"
        " done.",
        may_retry=False,
        state="processing",
    ),
}
RECEIVED = Words(
    "We are looking into your payment",
    "We received {received}. Our team knows about it and will write to you.",
    may_retry=False,
    state="attention",
)
# What is said beside the state of an enrollment; {refunded} and {received} are amounts.
NOTES = {
    outcomes.REFUNDED_PARTLY: "{refunded} of your payment of {received} was refunded.",
    outcomes.DISPUTED: (
        "Your bank has asked for your payment of {received} back. That is not settled yet."
    ),
    Payment.PROCESSING: "Your bank is working on another payment, of {received}.",
    Payment.DUPLICATE: (
        "We received a second payment, of {received}. Our team knows about it and will write to"
        " you."
    ),
    Payment.AMOUNT_MISMATCH: (
        "We received {received}, which is not what we asked for. Our team knows about it and will"
        " write to you."
    ),
    outcomes.REFUNDED: "Your payment of {received} was refunded.",
    outcomes.LOST: "Your bank returned your payment of {received} to you.",
}


REFUNDING = "A refund of {refunding} was requested and is on its way to you."


def of_ended(enrollment: Enrollment, outcome: PaymentOutcome | None) -> Words:
    """Return what is said of an enrollment that has ended; `outcome` is of its main payment."""
    if outcome is None or not outcome.is_money_received:
        if enrollment.status == Enrollment.REFUNDED:
            return ENDED_BY_REFUND
        return WITHOUT_MONEY.get(enrollment.failure_code, OTHERWISE)
    if enrollment.status == Enrollment.REFUNDED and outcome.state != outcomes.LOST:
        return ENDED_BY_REFUND
    words = ENDED_WITH_MONEY.get(outcome.state, RECEIVED)
    detail = words.detail.format(received=outcome.received)
    return Words(words.headline, detail, words.may_retry, words.state)


def notes(enrollment: Enrollment, found: list[PaymentOutcome]) -> list[str]:
    """Return what is said of the payments beside the headline, which speaks of the first one.

    For a paid enrollment the headline is about access, so that its own payment is among them.
    """
    beside = found if enrollment.status == Enrollment.PAID else found[1:]
    said = [
        NOTES[outcome.state].format(received=outcome.received, refunded=outcome.refunded_money)
        for outcome in beside
        if outcome.state in NOTES
    ]
    refunding = [outcome.refunding_money for outcome in found if outcome.refunding]
    return said + [REFUNDING.format(refunding=amount) for amount in refunding]
