"""What Stripe's books say of each session, and what ours say of it, in the same words."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import requests

from affiliates.models import Commission
from enrollments.models import Enrollment
from maaledu.money import Money
from payments.models import Payment, StripeEvent
from payments.webhooks import HANDLERS
from tests.sandbox_client import STRIPE_KEY, Sandbox
from tests.system.month_plan import PRICES, RATES, Buyer

Record = dict[str, Any]
REFUNDS = {"requires_action": "pending", "canceled": "failed"}
DISPUTES = {
    "needs_response": "open",
    "under_review": "open",
    "warning_needs_response": "warning",
    "warning_closed": "warning",
}
CURRENCY = "usd"


@dataclass(frozen=True)
class Account:
    """What is true of one session and its payment; amounts in minor units."""

    email: str
    payment: str
    enrollment: str
    received: int = 0
    refunds: frozenset[tuple[str, int, str]] = frozenset()
    disputes: frozenset[tuple[str, str]] = frozenset()
    warnings: frozenset[tuple[str, bool]] = frozenset()
    has_access: bool = False
    commission: int = 0
    is_held: bool = False

    def subjects(self, title: str) -> Iterator[str]:
        """Yield the subjects of the mails that its buyer must have by now."""
        if self.payment == "processing":
            yield f"Your payment is on its way: {title}"
        if self.payment == "failed":
            yield f"Your payment did not go through: {title}"
        if self.payment == "paid":
            yield f"Your course is ready: {title}"
        if "lost" in dict(self.disputes).values():
            yield f"Your enrollment has ended: {title}"
        for _, amount, status in self.refunds:
            if status == "succeeded":
                yield f"{Money(amount, CURRENCY)} is on its way back to you: {title}"


class StripesBooks:
    """The sandbox's books as they are at this moment."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.books = sandbox.state(
            "sessions", "payment_intents", "refunds", "disputes", "warnings", "enrollments", "mails"
        )
        self.intents = {each["id"]: each for each in self.books["payment_intents"]}
        self.refunds, self.disputes, self.warnings = (
            _by_intent(self.books[name]) for name in ("refunds", "disputes", "warnings")
        )

    def accounts(self, buyers: dict[str, Buyer]) -> dict[str, Account]:
        """Return what follows for us of what Stripe says of each session."""
        return {
            session["id"]: self._account(session, buyers[session["customer_email"]])
            for session in self.books["sessions"]
        }

    def _account(self, session: Record, buyer: Buyer) -> Account:
        state, intent = self._state(session), session["payment_intent"]
        if state != "paid":
            return Account(buyer.email, state, "pending" if state == "processing" else state)
        paid = session["amount_total"]
        refunds = frozenset(
            (each["id"], each["amount"], REFUNDS.get(each["status"], each["status"]))
            for each in self.refunds[intent]
        )
        disputes = frozenset(
            (each["id"], DISPUTES.get(each["status"], each["status"]))
            for each in self.disputes[intent]
        )
        verdicts = dict(disputes).values()
        refunded = sum(amount for _, amount, status in refunds if status == "succeeded")
        back = paid if "lost" in verdicts else refunded
        warnings = frozenset((each["id"], each["actionable"]) for each in self.warnings[intent])
        earned = _half_up(Fraction(PRICES[buyer.course] * RATES[buyer.affiliate], 10_000))
        return Account(
            email=buyer.email,
            payment="paid",
            enrollment="refunded" if back == paid else "paid",
            received=paid,
            refunds=refunds,
            disputes=disputes,
            warnings=warnings,
            has_access=back < paid,
            commission=earned - _half_up(Fraction(earned * back, paid)),
            is_held=bool(earned) and ("open" in verdicts or True in dict(warnings).values()),
        )

    def _state(self, session: Record) -> str:
        if session["status"] != "complete" or session["payment_status"] == "paid":
            return "paid" if session["status"] == "complete" else session["status"]
        is_refused = self.intents[session["payment_intent"]]["status"] == "requires_payment_method"
        return "failed" if is_refused else "processing"

    def mails(self) -> Counter[tuple[str, str]]:
        """Return how often each address got a mail with each subject since the last look."""
        return Counter((to, mail["subject"]) for mail in self.books["mails"] for to in mail["to"])

    def texts_to(self, address: str) -> dict[str, str]:
        """Return the text of a mail with each subject, without the site's name before it."""
        return {
            mail["subject"].partition("] ")[2]: mail["text"]
            for mail in self.books["mails"]
            if address in mail["to"]
        }


def _by_intent(objects: Iterable[Record]) -> defaultdict[str, list[Record]]:
    found: defaultdict[str, list[Record]] = defaultdict(list)
    for each in objects:
        found[each["payment_intent"]].append(each)
    return found


def _half_up(amount: Fraction) -> int:
    return int(amount + Fraction(1, 2))


def our_accounts(in_lms: list[Record]) -> dict[str, Account]:
    """Return what our rows say of each session, and the LMS's whether its buyer has access."""
    commissions = {each.enrollment_id: each for each in Commission.objects.all()}
    enrolled = Counter(row["member"] for row in in_lms)
    payments = Payment.objects.select_related("enrollment").prefetch_related(
        "refunds", "disputes", "fraud_warnings"
    )
    accounts = {}
    for payment in payments:
        enrollment, commission = payment.enrollment, commissions.get(payment.enrollment_id)
        is_live = enrollment.status in Enrollment.LIVE
        accounts[payment.stripe_session_id or ""] = Account(
            email=enrollment.email,
            payment=payment.status,
            enrollment=enrollment.status,
            received=payment.amount_received or 0,
            refunds=frozenset(
                (each.stripe_refund_id or "", each.amount, each.status)
                for each in payment.refunds.all()
            ),
            disputes=frozenset(
                (each.stripe_dispute_id, each.status) for each in payment.disputes.all()
            ),
            warnings=frozenset(
                (each.stripe_warning_id, each.is_actionable)
                for each in payment.fraud_warnings.all()
            ),
            has_access=is_live and enrolled.pop(enrollment.email, 0) == 1,
            commission=commission.net if commission else 0,
            is_held=commission is not None and commission.is_held,
        )
    assert len(accounts) == len(payments)
    assert not enrolled, "somebody has access twice, or without a purchase"
    return accounts


def not_applied(sandbox: Sandbox) -> set[str]:
    """Return the events that Stripe lists as not delivered and that we have not applied either."""
    found: list[str] = []
    query = {"delivery_success": "false", "limit": 100, "types[]": sorted(HANDLERS)}
    page: Record = {"has_more": True}
    while page["has_more"]:
        after = {"starting_after": found[-1]} if found else {}
        page = requests.get(
            f"{sandbox.stripe_url}/v1/events",
            {**query, **after},
            headers={"Authorization": f"Bearer {STRIPE_KEY}"},
            timeout=10,
        ).json()
        found += [event["id"] for event in page["data"]]
    applied = StripeEvent.objects.filter(event_id__in=found, status="done")
    return set(found) - set(applied.values_list("event_id", flat=True))
