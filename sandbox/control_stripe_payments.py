"""The control calls about payments, refunds and disputes.

They do what people do on Stripe's payment page and in its dashboard.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sandbox import (
    stripe_disputes,
    stripe_fraud,
    stripe_later,
    stripe_payments,
    stripe_refunds,
)
from sandbox.world import World

Data = dict[str, Any]


class StripePaymentsControl:
    """The routes that ``Control`` takes over."""

    def __init__(self, world: World) -> None:
        self.world, self.book = world, world.book
        self.routes: list[tuple[str, str, Callable[..., object]]] = [
            ("POST", r"/control/stripe/sessions/([^/]+)/pay", self.pay),
            ("POST", r"/control/stripe/sessions/([^/]+)/expire", self.expire),
            ("POST", r"/control/stripe/charges/([^/]+)/(refund|dispute|warning)", self.reverse),
            ("POST", r"/control/stripe/disputes/([^/]+)", self.decide),
            ("POST", r"/control/stripe/refunds/([^/]+)/(succeed|fail|cancel)", self.end_refund),
        ]

    def pay(self, session_id: str, data: Data) -> Data:
        """Pay a session without the page; ``wait`` seconds for the webhook's answer when given."""
        outcome = data.pop("outcome", "paid")
        if outcome not in stripe_payments.OUTCOMES:
            raise ValueError(f"outcome must be one of {', '.join(stripe_payments.OUTCOMES)}")
        wait = float(data.pop("wait", 0))
        events = stripe_payments.pay(self.world, session_id, outcome, data)
        answered = [
            self.world.webhooks.wait_for_answer(event["id"], wait)
            for event in events
            if wait and event["pending_webhooks"]
        ]
        return {
            "session": self.book.sessions[session_id],
            "events": [event["id"] for event in events],
            "answered": all(answered),
        }

    def expire(self, session_id: str, data: Data) -> Data:
        return stripe_payments.expire(self.world, session_id)

    def reverse(self, name: str, what: str, data: Data) -> Data:
        """Refund a charge, have the buyer's bank dispute it, or have its issuer warn of fraud.

        ``name`` is the charge's id or its payment intent's.
        """
        charge = self.book.charge_of(name)
        work = {
            "refund": stripe_refunds.dashboard_refund,
            "dispute": stripe_disputes.open_dispute,
            "warning": stripe_fraud.open_warning,
        }[what]
        return self._answered(data, partial(work, self.world, charge, data))

    def decide(self, dispute_id: str, data: Data) -> Data:
        """Bring a dispute to ``status``, at once or ``after`` so many seconds.

        The status is any of Stripe's, or one that nobody knows yet; ``funds`` says where the money
        goes.
        """
        status, funds = str(data["status"]), str(data.get("funds", ""))
        if "after" in data:
            later = {"dispute": dispute_id, "status": status, "funds": funds}
            return stripe_later.schedule(self.world, float(data["after"]), later)
        return self._answered(
            data, partial(stripe_disputes.decide, self.world, dispute_id, status, funds)
        )

    def end_refund(self, refund_id: str, how: str, data: Data) -> Data:
        """Let a refund succeed, fail or be canceled, at once or ``after`` so many seconds.

        ``reason`` is Stripe's failure_reason.
        """
        status, reason = stripe_refunds.ENDS[how], str(data.get("reason", stripe_refunds.FAILURE))
        if "after" in data:
            later = {"refund": refund_id, "status": status, "reason": reason}
            return stripe_later.schedule(self.world, float(data["after"]), later)
        return self._answered(
            data, partial(stripe_refunds.end, self.world, refund_id, status, reason)
        )

    def _answered(self, data: Data, work: Callable[[], Data]) -> Data:
        """Do the work and give the endpoint ``wait`` seconds to answer each of its events."""
        with self.book.lock:
            known = len(self.book.events)
            done = work()
            events = list(self.book.events.values())[known:]
        wait = float(data.get("wait", 0))
        for event in events:
            if wait and event["pending_webhooks"]:
                self.world.webhooks.wait_for_answer(event["id"], wait)
        return done
