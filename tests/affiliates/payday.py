"""What the tests of payouts start from: affiliates who are owed something, two members of staff,
batches in each state.
"""

from datetime import timedelta
from typing import Any

from django.test import Client
from django.test.utils import override_settings

from accounts.models import User
from affiliates import ledger, payout_drafts, payouts
from affiliates.models import Affiliate, LedgerEntry, Payout, PayoutBatch, PayoutItem
from affiliates.payout_details import PayoutDetails
from affiliates.payout_drafts import Run
from enrollments.models import Enrollment
from payments.models import Payment
from tests.affiliates.make import make_affiliate, make_staff, sell, tomorrow
from tests.factories import deliver, make_course, refund_of, refunded

PAYPAL = PayoutDetails(Affiliate.PAYPAL, "", "ada@paypal.example")
AT_ONCE = timedelta(0)


def earn(
    affiliate: Affiliate, *prices: int, currency: str = "usd", payable: timedelta = AT_ONCE
) -> list[tuple[Enrollment, Payment]]:
    """Have a course sold at each of these prices, and its commission payable so long from now."""
    with override_settings(COMMISSION_HOLD=payable):
        sales = [
            sell(Client(), affiliate, make_course(price=price, currency=currency))
            for price in prices
        ]
    ledger.mature()
    return sales


def owed(*prices: int, **fields: Any) -> Affiliate:
    affiliate = make_affiliate(**fields)
    earn(affiliate, *(prices or (100_000,)))
    return affiliate


def refund(payment: Payment, amount: int | None = None) -> None:
    assert deliver(Client(), refunded(refund_of(payment, amount))).status_code == 200


def run(currency: str = "usd", method: str = Affiliate.BANK) -> Run:
    return Run(currency, method, tomorrow())


def draft(by: User | None = None, **of: str) -> PayoutBatch:
    return payout_drafts.draft(run(**of), by=by or make_staff())


def batch_in(status: str) -> PayoutBatch:
    """Draft what there is to pay, and take the batch on to this status, by the product's own
    functions.
    """
    batch, colleague = draft(), make_staff()
    if status in (PayoutBatch.RELEASED, PayoutBatch.PAID):
        payouts.release(batch, by=colleague)
    if status == PayoutBatch.PAID:
        payouts.mark_paid(batch, by=colleague, reference="BANK-1")
    if status == PayoutBatch.CANCELLED:
        payouts.cancel_batch(batch, by=colleague, reason="Wrong month")
    assert batch.status == status
    return batch


def amounts(batch: PayoutBatch) -> list[int]:
    return sorted(batch.payouts.exclude(status=Payout.CANCELLED).values_list("amount", flat=True))


def state() -> Any:
    """Everything that a refused step must leave as it is."""
    return (
        list(PayoutBatch.objects.order_by("pk").values()),
        list(Payout.objects.order_by("pk").values()),
        list(PayoutItem.objects.order_by("pk").values()),
        LedgerEntry.objects.count(),
    )


def assert_steps_agree() -> None:
    """A payout has got as far as its batch, unless it was cancelled; and nobody was paid what was
    not owed.
    """
    for payout in Payout.objects.select_related("batch"):
        assert payout.status in (payout.batch.status, Payout.CANCELLED), (
            payout.pk,
            payout.status,
            payout.batch.status,
        )
    for batch in PayoutBatch.objects.all():
        assert batch.payouts.exists(), f"batch {batch.pk} is empty"
