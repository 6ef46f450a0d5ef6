"""What came of a payment: derived from its row, its refunds and its disputes, never stored.

Every page about a payment reads this, so that no two of them disagree: checkout, the cancel page,
the status page, My courses and the office.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from enrollments.models import Enrollment
from maaledu.money import Money
from payments.models import Dispute, Payment, Refund

REFUNDED, REFUNDED_PARTLY, DISPUTED, LOST = "refunded", "refunded_partly", "disputed", "lost"


@dataclass(frozen=True)
class PaymentOutcome:
    """What came of a payment: its refunds, in minor units, and its disputes.

    `refunding` is asked for and not made yet; only what is made counts as refunded.
    """

    payment: Payment
    refunded: int = 0
    refunding: int = 0
    is_disputed: bool = False
    is_lost: bool = False
    gives_coupon_back: bool = False

    @property
    def paid(self) -> int:
        return self.payment.amount_received or 0

    @property
    def is_reversed(self) -> bool:
        """A lost dispute is like a full refund: the bank has decided for the buyer."""
        return self.is_lost or self.refunded >= self.paid

    @property
    def reversed_amount(self) -> int:
        """How much of the sale counts as reversed, in minor units; it reverses the commission."""
        return self.paid if self.is_reversed else self.refunded

    def is_in_doubt(self, *, is_warned: bool) -> bool:
        """Whether the sale's commission is on hold; `is_warned`: a fraud warning is open."""
        return self.is_disputed or (is_warned and not self.is_reversed)

    @property
    def state(self) -> str:
        """The one word for it: a status of Payment, a reason for review, or one of this module."""
        payment = self.payment
        if payment.status != Payment.PAID:
            return payment.status
        if self.is_lost or (self.refunded and self.is_reversed):
            return LOST if self.is_lost else REFUNDED
        if self.is_disputed:
            return DISPUTED
        is_part = self.refunded and payment.is_fulfilling
        return REFUNDED_PARTLY if is_part else payment.review_reason or Payment.PAID

    @property
    def is_money_received(self) -> bool:
        """Whether the buyer's money has reached us or is on its way, though it may be refunded."""
        return self.payment.status in (Payment.PAID, Payment.PROCESSING)

    @property
    def received(self) -> Money:
        payment = self.payment
        amount = payment.amount if payment.amount_received is None else payment.amount_received
        return Money(amount, payment.currency_received or payment.currency)

    @property
    def refunded_money(self) -> Money:
        return Money(self.refunded, self.received.currency)

    @property
    def refunding_money(self) -> Money:
        return Money(self.refunding, self.received.currency)

    @property
    def label(self) -> str:
        """What staff read: the state, with the amount where only a part was refunded."""
        words = self.state.replace("_", " ")
        return f"{words}: {self.refunded_money} of {self.received}" if self.is_partly else words

    @property
    def is_partly(self) -> bool:
        return 0 < self.refunded < self.paid


def outcome_of(payment: Payment) -> PaymentOutcome:
    return outcomes_in([payment])[0]


def outcomes_of(enrollments: Iterable[Enrollment]) -> dict[UUID, list[PaymentOutcome]]:
    """Return what came of the payments of each enrollment, the one to speak of first.

    That is the payment that fulfills it, else one that was received, else one that the bank is
    working on, else the latest. Three statements for any number of enrollments.
    """
    found: dict[UUID, list[PaymentOutcome]] = {enrollment.pk: [] for enrollment in enrollments}
    payments = Payment.objects.filter(enrollment_id__in=list(found))
    for outcome in ranked(list(payments)):
        found[outcome.payment.enrollment_id].append(outcome)
    return found


def ranked(payments: list[Payment]) -> list[PaymentOutcome]:
    """Return what came of each payment, the one to speak of first."""
    return sorted(outcomes_in(payments), key=_precedence)


def _precedence(outcome: PaymentOutcome) -> tuple[int, int]:
    payment = outcome.payment
    if payment.is_fulfilling:
        return 0, -payment.attempt
    if payment.status == Payment.PAID:
        return 1, -payment.attempt
    return (2 if payment.status == Payment.PROCESSING else 3), -payment.attempt


def outcomes_in(payments: list[Payment]) -> list[PaymentOutcome]:
    """Return what came of each payment. Only one that was paid has refunds and disputes."""
    paid = [payment.pk for payment in payments if payment.status == Payment.PAID]
    refunds: dict[UUID | None, list[Refund]] = defaultdict(list)
    disputes: dict[UUID | None, list[Dispute]] = defaultdict(list)
    if paid:
        for refund in Refund.objects.filter(payment_id__in=paid):
            refunds[refund.payment_id].append(refund)
        for dispute in Dispute.objects.filter(payment_id__in=paid):
            disputes[dispute.payment_id].append(dispute)
    return [derived(payment, refunds[payment.pk], disputes[payment.pk]) for payment in payments]


def derived(
    payment: Payment, refunds: Iterable[Refund], disputes: Iterable[Dispute]
) -> PaymentOutcome:
    """Return what came of a payment of which all refunds and disputes were read already."""
    asked = [refund for refund in refunds if refund.status != Refund.FAILED]
    made = [refund for refund in asked if refund.status == Refund.SUCCEEDED]
    refunded = sum(refund.amount for refund in made)
    return PaymentOutcome(
        payment=payment,
        refunded=refunded,
        refunding=sum(refund.amount for refund in asked) - refunded,
        is_disputed=any(dispute.is_undecided for dispute in disputes),
        is_lost=any(dispute.status == Dispute.LOST for dispute in disputes),
        gives_coupon_back=any(refund.gives_coupon_back for refund in made),
    )
