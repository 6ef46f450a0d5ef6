"""What reconciliation compares with Stripe: refunds, disputes and early fraud warnings.

Those that were made of late, and ours that are not at their end.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db.models import Model, Q
from django.utils import timezone

from payments import (
    disputes,
    fraud_warnings,
    gateway,
    ownership,
    refunds,
    unknown_words,
    waiting_reversals,
)
from payments.comparisons import (
    AGREED,
    MENDED,
    NOT_OURS,
    Finding,
    Kind,
    Known,
    compare_session,
    known_payments,
    nothing_known,
    rows_after,
    texts_in,
    unmended,
)
from payments.gateway import Page
from payments.models import Dispute, EarlyFraudWarning, Payment, Refund

MAY_FAIL_FOR = timedelta(days=35)  # a bank sends a refund back up to 30 days later
SALE_MISSING = "it is about a sale of ours that is not here"
CLOSED_AT_STRIPE = ["won", "lost", "warning_closed", "prevented"]


@dataclass(frozen=True)
class Reversals:
    """How refunds, disputes or warnings are known here, compared and recorded."""

    model: type[Refund] | type[Dispute] | type[EarlyFraudWarning]
    stripe_id: str
    is_recordable: Callable[[dict[str, Any]], bool]
    agrees: Callable[[Any, dict[str, Any]], bool]
    record: Callable[[dict[str, Any], Any, str], object]
    apply: Callable[..., None]
    retrieve: Callable[[str], dict[str, Any]]

    def known(self, payloads: list[dict[str, Any]]) -> Known:
        """Return the rows of a page, by Stripe's ids."""
        ids = {f"{self.stripe_id}__in": texts_in(payloads, "id")}
        return {getattr(row, self.stripe_id): row for row in self.model.objects.filter(**ids)}

    def compare(self, payload: dict[str, Any], known: Known) -> Finding:
        """Compare one payload, which has its payment intent with it, with our row."""
        payload, payment_id = ownership.part_intent(payload)
        if not gateway.text_of(payload.get("payment_intent")):
            return Finding(NOT_OURS)  # Checkout makes an intent for each payment
        row = known.get(payload["id"])
        if row and self.agrees(row, payload):
            return Finding(AGREED)
        if not (payment_id or self._has_sale(row, payload)):
            return Finding(NOT_OURS, mend=partial(_forget, row) if row else None)
        unknown_words.alert_of_words(payload)
        if not self.is_recordable(payload):
            return unmended("Stripe's object lacks an amount, a currency or a status")
        return Finding(MENDED, mend=partial(self._record, row, payload, payment_id))

    def ask(self, row: Any, known: Known) -> Finding:
        """Compare a row of ours with what Stripe says when it is asked."""
        stripe_id = getattr(row, self.stripe_id)
        return self.compare(self.retrieve(stripe_id), {stripe_id: row})

    def _has_sale(self, row: Any, payload: dict[str, Any]) -> bool:
        intent = payload["payment_intent"]
        return bool(row and row.payment_id) or (
            Payment.objects.filter(stripe_payment_intent_id=intent).exists()
        )

    def _record(
        self, row: Any, payload: dict[str, Any], payment_id: UUID | None, actor: str
    ) -> Finding:
        is_here = _ensure_sale(payload["payment_intent"], payment_id, actor)
        if row is None and not is_here:
            # Nor recorded: what is here before its sale is taken for reported by an event.
            return unmended(SALE_MISSING)
        self.record(payload, row, actor)
        fresh = self.model.objects.get(**{self.stripe_id: payload["id"]})
        if fresh.payment_id is None and waiting_reversals.attach(fresh, self.apply):
            fresh.refresh_from_db()
        if self.agrees(fresh, payload):
            return Finding(MENDED)
        if fresh.payment_id is None:
            return unmended(SALE_MISSING)
        said = payload.get("status", payload.get("actionable"))
        return unmended(f"ours is {fresh.status}, and Stripe says {said}")


def _ensure_sale(payment_intent_id: str, payment_id: UUID | None, actor: str) -> bool:
    """Receive or rebuild the payment that is taken back, and return whether it is here."""
    sale = Payment.objects.filter(stripe_payment_intent_id=payment_intent_id)
    if payment_id is None or sale.exists():
        return True
    session = gateway.session_of(payment_intent_id)
    if session is None:
        return False
    finding = compare_session(session, known_payments([session]))
    if finding.mend:
        finding.mend(actor)
    return sale.exists()


def _forget(row: Model, actor: str) -> Finding:
    """Delete what waits for a sale that is another product's: Stripe could not be asked before."""
    row.delete()
    return Finding(NOT_OURS)


def _record_refund(payload: dict[str, Any], row: Refund | None, actor: str) -> object:
    return refunds.record(payload, actor=actor)


def _record_dispute(payload: dict[str, Any], row: Dispute | None, actor: str) -> object:
    return disputes.record(payload, reported_at=_after(row), actor=actor)


def _record_warning(payload: dict[str, Any], row: EarlyFraudWarning | None, actor: str) -> object:
    return fraud_warnings.record(payload, reported_at=_after(row), actor=actor)


def _after(row: Dispute | EarlyFraudWarning | None) -> int:
    """Return a moment after the row's last report: this is the newest, whatever clocks say."""
    now = int(timezone.now().timestamp())
    return max(now, int(row.reported_at.timestamp()) + 1) if row and row.reported_at else now


REFUNDS = Reversals(
    model=Refund,
    stripe_id="stripe_refund_id",
    is_recordable=refunds.is_recordable,
    agrees=refunds.agrees,
    record=_record_refund,
    apply=refunds.apply_attached,
    retrieve=gateway.retrieve_refund,
)
DISPUTES = Reversals(
    model=Dispute,
    stripe_id="stripe_dispute_id",
    is_recordable=disputes.is_recordable,
    agrees=disputes.agrees,
    record=_record_dispute,
    apply=disputes.apply,
    retrieve=gateway.retrieve_dispute,
)
WARNINGS = Reversals(
    model=EarlyFraudWarning,
    stripe_id="stripe_warning_id",
    is_recordable=fraud_warnings.is_recordable,
    agrees=fraud_warnings.agrees,
    record=_record_warning,
    apply=fraud_warnings.apply,
    retrieve=gateway.retrieve_warning,
)


def _waiting(before: datetime) -> Q:
    """Those without their sale, as long as it may come; the younger ones are listed anyway."""
    limit_at = timezone.now() - waiting_reversals.WAITS_FOR_PAYMENT
    return Q(payment=None, created_at__gt=limit_at, created_at__lt=before)


def unsettled_refunds(since: datetime, after: str) -> Page:
    unsettled = Q(status__in=[Refund.REQUESTED, Refund.PENDING]) | _waiting(before=since)
    # One without Stripe's id is a request whose answer was lost: the sweep resumes it.
    return rows_after(Refund.objects.filter(unsettled).exclude(stripe_refund_id=None), after)


def open_disputes(since: datetime, after: str) -> Page:
    is_withdrawn = Q(is_withdrawn=True) & ~Q(status=Dispute.LOST)
    is_open = ~Q(stripe_status__in=CLOSED_AT_STRIPE) | is_withdrawn | _waiting(before=since)
    return rows_after(Dispute.objects.filter(is_open), after)


def open_warnings(since: datetime, after: str) -> Page:
    is_open = Q(is_actionable=True, closed_at=None) | _waiting(before=since)
    return rows_after(EarlyFraudWarning.objects.filter(is_open), after)


KINDS = (
    Kind(
        "refunds",
        gateway.refunds_page,
        REFUNDS.known,
        REFUNDS.compare,
        least_days_back=MAY_FAIL_FOR,
    ),
    Kind(
        "unsettled refunds",
        unsettled_refunds,
        nothing_known,
        REFUNDS.ask,
        is_listed_by_stripe=False,
    ),
    Kind("disputes", gateway.disputes_page, DISPUTES.known, DISPUTES.compare),
    Kind("open disputes", open_disputes, nothing_known, DISPUTES.ask, is_listed_by_stripe=False),
    Kind("fraud warnings", gateway.warnings_page, WARNINGS.known, WARNINGS.compare),
    Kind(
        "open fraud warnings",
        open_warnings,
        nothing_known,
        WARNINGS.ask,
        is_listed_by_stripe=False,
    ),
)
