"""The permissions that a restricted key of Stripe's needs, each with a harmless call that tries it.

Source: contracts/stripe, section 5. The deployment guide lists the same ones.
"""

from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from django.conf import settings

from payments.errors import StripeKeyRefused, StripeRefused
from payments.refusal_table import KEY_LIMITED
from payments.refusals import Refusal
from payments.stripe_calls import ask, client

READ, WRITE = "read", "write"


@dataclass(frozen=True)
class Permission:
    """One permission: its resource and level by the dashboard's names, and the call that tries it.

    `method` is a dotted name of the SDK's. The call is about an object that does not exist, so that
    it can change nothing and show nothing.
    """

    resource: str
    level: str
    method: str
    argument: Any

    def __str__(self) -> str:
        return f"{self.resource}: {self.level}"


SESSIONS = Permission(
    "Checkout Sessions", WRITE, "checkout.sessions.expire", "cs_of_stripe_check_alone"
)
EVENTS = Permission("Events", READ, "events.retrieve", "evt_of_stripe_check_alone")
ENDPOINTS = Permission(
    "Webhook Endpoints", READ, "webhook_endpoints.retrieve", "we_of_stripe_check_alone"
)
ALWAYS = (
    SESSIONS,
    Permission("Refunds", WRITE, "refunds.create", {"payment_intent": "pi_of_stripe_check_alone"}),
    Permission("PaymentIntents", READ, "payment_intents.retrieve", "pi_of_stripe_check_alone"),
    Permission("Charges", READ, "charges.retrieve", "ch_of_stripe_check_alone"),
    Permission("Disputes", READ, "disputes.retrieve", "dp_of_stripe_check_alone"),
    Permission(
        "Early Fraud Warnings",
        READ,
        "radar.early_fraud_warnings.retrieve",
        "issfr_of_stripe_check_alone",
    ),
    EVENTS,
    ENDPOINTS,
)
WITH_INVOICES = (Permission("Invoices", READ, "invoices.retrieve", "in_of_stripe_check_alone"),)


def needed() -> tuple[Permission, ...]:
    """Return the permissions that the product needs with these settings."""
    return ALWAYS + (WITH_INVOICES if settings.STRIPE_INVOICES else ())


def refusal_of(permission: Permission) -> Refusal | None:
    """Return Stripe's refusal for want of this permission, or None where the key has it.

    Stripe looks at the permission before it looks for the object. Raises StripeUnavailable, and
    StripeKeyRefused where the key or the account is refused as a whole.
    """
    try:
        ask(attrgetter(permission.method)(client(interactive=True).v1), permission.argument)
    except StripeKeyRefused as error:
        if error.refusal.row is not KEY_LIMITED:
            raise
        return error.refusal
    except StripeRefused:  # there is no such object, which Stripe may say only to whoever may look
        return None
    return None
