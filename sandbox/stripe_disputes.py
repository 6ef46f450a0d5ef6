"""Disputes: a bank takes the money and decides, or only inquires.

Nobody but the bank opens or decides one.
"""

from __future__ import annotations

from typing import Any

from sandbox import stripe_fraud
from sandbox.stripe_currency import exponent
from sandbox.stripe_events import emit
from sandbox.stripe_objects import new_id
from sandbox.world import World

Record = dict[str, Any]
REASONS = (
    "bank_cannot_process",
    "check_returned",
    "credit_not_processed",
    "customer_initiated",
    "debit_not_authorized",
    "duplicate",
    "fraudulent",
    "general",
    "incorrect_account_details",
    "insufficient_funds",
    "noncompliant",
    "product_not_received",
    "product_unacceptable",
    "subscription_canceled",
    "unrecognized",
)
CLOSED = ("won", "lost", "warning_closed")
ANSWERED = ("under_review", "warning_under_review", "appeal_under_review")
# Where the money is to be: as the status has it, or as a test wants it.
BY_STATUS, WITHDRAWN, REINSTATED, UNTOUCHED = "", "withdrawn", "reinstated", "untouched"
FUNDS = (BY_STATUS, WITHDRAWN, REINSTATED, UNTOUCHED)
NETWORK_CODES = {"fraudulent": "10.4", "product_not_received": "13.1"}
EVIDENCE = (
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
)
DAY = 24 * 3600
DAYS_TO_ANSWER = 8
FEE = 15


def open_dispute(world: World, charge: Record, data: Record) -> Record:
    """Let the buyer's bank dispute a charge, and send the events.

    The money goes at once, except for a ``warning_*``, or as ``funds`` says. Raises ValueError when
    there is nothing left to dispute or ``data`` (amount, reason, status, funds) is wrong.
    """
    with world.book.lock:
        amount, reason = _checked(charge, data)
        status = str(data.get("status") or "needs_response")
        dispute = _new(charge, amount, reason, status=status, now=int(world.book.now()))
        world.book.disputes[dispute["id"]] = dispute
        charge["disputed"] = True
        moved = _move_funds(dispute, int(world.book.now()), str(data.get("funds", BY_STATUS)))
        _announce(world, dispute, ["charge.dispute.created", *moved])
        stripe_fraud.follow(world, charge)
        return dispute


def decide(world: World, dispute_id: str, status: str, funds: str = BY_STATUS) -> Record:
    """Bring a dispute to another status, known or not, with its events.

    Its money goes to where the status or ``funds`` says. The status it already has moves nothing
    but the money.
    """
    if not status:
        raise ValueError("status must not be empty")
    _check_funds(funds)
    with world.book.lock:
        dispute, now = world.book.disputes[dispute_id], int(world.book.now())
        if dispute["status"] == status:
            for kind in _move_funds(dispute, now, funds):
                emit(world, kind, dispute)
            return dispute
        before = {name: dispute[name] for name in ("status", "is_charge_refundable")}
        _follow(dispute, status, now)
        before = {name: value for name, value in before.items() if dispute[name] != value}
        updated = [] if status in CLOSED else ["charge.dispute.updated"]
        _announce(world, dispute, [*updated, *_move_funds(dispute, now, funds)], before)
        return dispute


def allow_refund(world: World, charge: Record) -> bool:
    """Return whether no dispute of this charge keeps it from being refunded."""
    return all(dispute["is_charge_refundable"] for dispute in disputes_of(world, charge))


def disputes_of(world: World, charge: Record) -> list[Record]:
    return [
        dispute for dispute in world.book.disputes.values() if dispute["charge"] == charge["id"]
    ]


def _follow(dispute: Record, status: str, now: int) -> None:
    """Set the status and the fields that follow from it.

    An inquiry that escalates is a chargeback, one under review has been answered, an appeal has
    another date to answer by.
    """
    dispute |= {"status": status, "is_charge_refundable": _refundable(status)}
    if status == "appeal_needs_response":
        dispute["evidence_details"]["due_by"] = _due_by(status, now)
    if status in ANSWERED:
        dispute["evidence_details"] |= {
            "has_evidence": True,
            "submission_count": 1,
            "submission_method": "manual",
        }
    if "payment_method_details" in dispute:
        dispute["payment_method_details"]["card"]["case_type"] = _case_type(status)


def _announce(
    world: World, dispute: Record, kinds: list[str], before: Record | None = None
) -> None:
    for kind in kinds:
        emit(world, kind, dispute, before=before if kind == "charge.dispute.updated" else None)
    if dispute["status"] in CLOSED:
        emit(world, "charge.dispute.closed", dispute)


def _checked(charge: Record, data: Record) -> tuple[int, str]:
    left = charge["amount"] - charge["amount_refunded"]
    amount, reason = data.get("amount", left), data.get("reason", "fraudulent")
    if charge["status"] != "succeeded" or left == 0:
        raise ValueError("Only a paid charge that is not fully refunded can be disputed.")
    if not isinstance(amount, int) or not 1 <= amount <= charge["amount"]:
        raise ValueError(
            f"amount must be a whole number of minor units from 1 to {charge['amount']}"
        )
    if reason not in REASONS:
        raise ValueError(f"reason must be one of {', '.join(REASONS)}")
    _check_funds(data.get("funds", BY_STATUS))
    return amount, reason


def _check_funds(funds: object) -> None:
    if funds not in FUNDS:
        raise ValueError(f"funds must be one of {', '.join(FUNDS[1:])}")


def _refundable(status: str) -> bool:
    return status == "won" or status.startswith("warning_")


def _move_funds(dispute: Record, now: int, funds: str) -> list[str]:
    """Take the money or give it back, and return the event of that, if any."""
    taken = sum(entry["amount"] for entry in dispute["balance_transactions"]) < 0
    by_status = not _refundable(dispute["status"])
    wanted = {BY_STATUS: by_status, WITHDRAWN: True, REINSTATED: False, UNTOUCHED: taken}[funds]
    if taken == wanted:
        return []
    dispute["balance_transactions"].append(_transaction(dispute, now, back=taken))
    return ["charge.dispute.funds_reinstated" if taken else "charge.dispute.funds_withdrawn"]


def _transaction(dispute: Record, now: int, *, back: bool) -> Record:
    amount = dispute["amount"] if back else -dispute["amount"]
    # A dispute that was prevented costs no fee.
    free = back or dispute["status"] == "prevented"
    fee = 0 if free else FEE * 10 ** exponent(dispute["currency"])
    details = {
        "amount": fee,
        "application": None,
        "currency": dispute["currency"],
        "description": "Dispute fee",
        "type": "stripe_fee",
    }
    return {
        "id": new_id("txn"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": now,
        "balance_type": "payments",
        "created": now,
        "currency": dispute["currency"],
        "description": f"Chargeback {'reversal' if back else 'withdrawal'} for {dispute['charge']}",
        "exchange_rate": None,
        "fee": fee,
        "fee_details": [details] if fee else [],
        "net": amount - fee,
        "reporting_category": "dispute_reversal" if back else "dispute",
        "source": dispute["id"],
        "status": "available",
        "type": "adjustment",
    }


def _new(charge: Record, amount: int, reason: str, *, status: str, now: int) -> Record:
    method = charge["payment_method_details"]
    return {
        "id": new_id("du"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(EVIDENCE), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": _due_by(status, now),
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "is_charge_refundable": _refundable(status),
        "livemode": charge["livemode"],
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "status": status,
        **(
            {"payment_method_details": _card_case(method["card"], reason, status)}
            if method["type"] == "card"
            else {}
        ),
    }


def _due_by(status: str, now: int) -> int:
    """Until when an answer is taken; 0, as Stripe has it, where none is."""
    return 0 if status == "prevented" else (now // DAY + DAYS_TO_ANSWER + 1) * DAY - 1


def _case_type(status: str) -> str:
    if status == "prevented":
        return "resolution"
    return "inquiry" if status.startswith("warning_") else "chargeback"


def _card_case(card: Record, reason: str, status: str) -> Record:
    case = {
        "brand": card["brand"],
        "case_type": _case_type(status),
        "network": card["brand"],
        "network_reason_code": NETWORK_CODES.get(reason),
    }
    return {"card": case, "type": "card"}
