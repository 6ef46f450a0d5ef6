"""Refunds and disputes take back what a sale caused, in proportion, once, in any order."""

import pytest
from django.test import Client

from affiliates import commissions
from affiliates.models import Commission, LedgerEntry
from enrollments.models import Enrollment
from lms_sync.models import SyncJob
from notifications.models import Email
from payments import waiting_reversals
from payments.models import Dispute, Refund
from tests.affiliates.make import make_affiliate, make_referred, sell
from tests.affiliates.test_ledger import balance_of
from tests.concurrency import race, winners
from tests.factories import completed, deliver, dispute_of, disputed, refund_of, refunded

pytestmark = pytest.mark.any_engine

ROUNDS = 10


def entries() -> list[tuple[str, int]]:
    return list(LedgerEntry.objects.order_by("created_at", "pk").values_list("kind", "amount"))


@pytest.mark.every_engine
def test_a_full_refund_ends_the_enrollment_and_reverses_the_commission(client: Client):
    affiliate = make_affiliate()
    enrollment, payment = sell(client, affiliate)
    event = refunded(refund_of(payment))
    for _ in range(3):
        assert deliver(client, event).status_code == 200
    enrollment.refresh_from_db()
    assert enrollment.status == Enrollment.REFUNDED
    assert entries() == [("commission", 4990), ("reversal", -4990)]
    assert balance_of(affiliate) == (0, 0, 0, 0)
    assert SyncJob.objects.filter(action=SyncJob.REVOKE).count() == 1
    assert Email.objects.filter(kind="refund_made").count() == 1


def test_partial_refunds_add_up_to_the_whole_to_the_cent(client: Client):
    affiliate = make_affiliate()
    enrollment, payment = sell(client, affiliate)
    for part in (16633, 16633, 16633):
        enrollment.refresh_from_db()
        assert enrollment.status == Enrollment.PAID
        deliver(client, refunded(refund_of(payment, part)))
    assert entries() == [
        ("commission", 4990),
        ("reversal", -1663),
        ("reversal", -1664),
        ("reversal", -1663),
    ]
    deliver(client, refunded(refund_of(payment, 1)))
    enrollment.refresh_from_db()
    assert enrollment.status == Enrollment.REFUNDED
    assert balance_of(affiliate) == (0, 0, 0, 0)


def test_a_refund_that_fails_later_is_reversed(client: Client):
    affiliate = make_affiliate()
    enrollment, payment = sell(client, affiliate)
    refund = refund_of(payment)
    deliver(client, refunded(refund))
    deliver(
        client,
        refunded(
            {**refund, "status": "failed", "failure_reason": "expired_or_canceled_card"},
            "refund.failed",
        ),
    )
    enrollment.refresh_from_db()
    payment.refresh_from_db()
    assert (enrollment.status, payment.refund_committed) == (Enrollment.PAID, 0)
    assert balance_of(affiliate) == (4990, 0, 0, 0)
    deliver(client, refunded(refund, "refund.updated"))
    assert Refund.objects.get().status == Refund.FAILED
    assert balance_of(affiliate) == (4990, 0, 0, 0)


def test_a_refund_reported_before_its_sale_is_applied_when_the_sale_arrives(client: Client):
    affiliate = make_affiliate()
    enrollment, payment = make_referred(affiliate)
    deliver(client, refunded(refund_of(payment)))
    deliver(client, disputed(dispute_of(payment, "won")))
    assert Refund.objects.get().payment_id is None
    deliver(client, completed(payment))
    assert (waiting_reversals.attach_refunds(), waiting_reversals.attach_disputes()) == (1, 1)
    enrollment.refresh_from_db()
    assert enrollment.status == Enrollment.REFUNDED
    assert balance_of(affiliate) == (0, 0, 0, 0)


def test_a_dispute_holds_the_commission_until_it_is_decided(client: Client):
    affiliate = make_affiliate()
    enrollment, payment = sell(client, affiliate)
    deliver(client, disputed(dispute_of(payment)))
    assert balance_of(affiliate) == (4990, 0, 0, 4990)
    deliver(client, disputed(dispute_of(payment, "won"), "charge.dispute.closed"))
    assert balance_of(affiliate) == (4990, 0, 0, 0)
    deliver(client, disputed(dispute_of(payment), "charge.dispute.updated"))
    assert balance_of(affiliate) == (4990, 0, 0, 0)
    enrollment.refresh_from_db()
    assert enrollment.status == Enrollment.PAID


def test_a_lost_dispute_is_like_a_full_refund(client: Client):
    affiliate = make_affiliate()
    enrollment, payment = sell(client, affiliate)
    deliver(client, disputed(dispute_of(payment)))
    deliver(client, disputed(dispute_of(payment, "lost"), "charge.dispute.closed"))
    enrollment.refresh_from_db()
    assert enrollment.status == Enrollment.REFUNDED
    assert balance_of(affiliate) == (0, 0, 0, 0)
    assert not Commission.objects.get().is_held
    assert Email.objects.filter(kind="enrollment_ended").count() == 1


@pytest.mark.parametrize(
    "status",
    [
        "warning_needs_response",
        "warning_under_review",
        "warning_closed",
        "prevented",
        "appeal_under_review",
    ],
)
def test_an_inquiry_or_an_unknown_status_changes_nothing(client: Client, status: str):
    affiliate = make_affiliate()
    enrollment, payment = sell(client, affiliate)
    assert deliver(client, disputed(dispute_of(payment, status))).status_code == 200
    enrollment.refresh_from_db()
    assert (enrollment.status, Dispute.objects.get().status) == (Enrollment.PAID, Dispute.WARNING)
    assert balance_of(affiliate) == (4990, 0, 0, 0)


@pytest.mark.every_engine
def test_a_hold_by_staff_and_a_refund_at_the_same_moment_both_count(client: Client):
    """Whoever writes the commission second has read what the first one wrote; the invariants see
    any step that was lost.
    """
    affiliate = make_affiliate()
    for _ in range(ROUNDS):
        enrollment, _payment = sell(client, affiliate)
        steps = [
            lambda key=enrollment.pk: commissions.review(
                key, hold=True, by="staff@example.com", note="A look"
            ),
            lambda key=enrollment.pk: commissions.settle(
                key, refunded=24950, paid=49900, is_disputed=False, actor="test"
            ),
            lambda key=enrollment.pk: commissions.settle(
                key, refunded=24950, paid=49900, is_disputed=False, actor="test"
            ),
        ]
        assert winners(race(lambda number, steps=steps: steps[number](), threads=3)) == 2
        commission = Commission.objects.get(enrollment_id=enrollment.pk)
        assert (commission.net, commission.is_under_review, commission.steps) == (2495, True, 1)
        commissions.settle(enrollment.pk, refunded=0, paid=49900, is_disputed=False, actor="test")
    assert balance_of(affiliate) == (4990 * ROUNDS, 0, 0, 4990 * ROUNDS)
