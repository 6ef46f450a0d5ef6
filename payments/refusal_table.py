"""The table of Stripe's refusals: whose fault each is, and what staff read about it.

Source: contracts/stripe, section 5, and docs.stripe.com/error-codes.
"""

from dataclasses import dataclass

from django.utils.translation import gettext_noop as _

# Whose fault a refusal is. The buyer's is said at the e-mail field; ours alerts staff; what is
# passing is tried again; a payment's is said to whoever asked for its refund.
BUYER, SETUP, PASSING, PAYMENT = "buyer", "our set-up", "passing", "payment"
# What the buyer reads; a payment's refusals are never a buyer's to read.
FOR_BUYER = {
    BUYER: _(
        "The payment service does not accept this e-mail address. Please check it for typing"
        " mistakes, or use another one."
    ),
    SETUP: _(
        "We cannot take payments at the moment. Nothing was charged, and our team has been"
        " notified; please try again later."
    ),
    PASSING: (
        _("The payment service did not answer. Nothing was charged; please try again in a moment.")
    ),
}
EMAIL_PARAMS = ("customer_email", "receipt_email")
SESSION_END = "expires_at"
# With these codes a parameter is refused for being there, and not for what the buyer typed.
NOT_TYPED = ("parameter_unknown", "parameters_exclusive", "parameter_missing")


@dataclass(frozen=True)
class Row:
    """One row of the table: whose fault it is, and what staff read about it."""

    fault: str
    words: str

    @property
    def alerts(self) -> bool:
        """Whether staff are alerted: nobody can buy, or be refunded, until they have acted."""
        return self.fault == SETUP


KEY_ENDED = Row(
    SETUP, "The API key has expired. Make a new one in Stripe and set STRIPE_SECRET_KEY."
)
MODE = Row(
    SETUP,
    "Stripe's account or object is of the other mode (test or live). Set STRIPE_SECRET_KEY and"
    " STRIPE_LIVEMODE to the same mode, and finish the activation of the account in Stripe.",
)
PRICE = Row(
    SETUP,
    "Stripe does not take this price: it is below or above what the account may charge, which"
    " depends on the currency of its bank account too. Change the price of the course.",
)
METHODS = Row(
    SETUP,
    "The account has no payment method for this currency and amount. Switch one on in Stripe ›"
    " Settings › Payment methods.",
)
TAX = Row(SETUP, "Stripe cannot work out the tax. Check Stripe › Settings › Tax.")
REQUEST = Row(
    SETUP,
    "Stripe does not take a value that we sent. If the parameter is a product's name, correct the"
    " title of the course; else this is for a developer.",
)
ADDRESS = Row(
    SETUP, "Stripe does not take an address of our pages as the way back. Check SITE_URL."
)
UNKNOWN = Row(
    SETUP,
    "Stripe does not know an object that it made for us. The API key may be one of another account"
    " or mode: check STRIPE_SECRET_KEY.",
)
CLOCK = Row(
    SETUP,
    "Stripe does not take the end of our sessions: the clock of this server is minutes off or more."
    " Set it, and let it be set by itself (NTP); `manage.py stripe_check` says by how much.",
)
ACCOUNT = Row(
    SETUP,
    "The account is closed, restricted, or not the key's. Look at Stripe › Home for what Stripe"
    " asks of it, and check STRIPE_SECRET_KEY.",
)
BUSY = Row(PASSING, "Stripe is busy with this object or with us. It is tried again.")
TROUBLE = Row(PASSING, "Stripe or somebody it asks has trouble. It is tried again.")
# What no row below names: by the HTTP status, for a refund, and for everything else.
KEY_REFUSED = Row(
    SETUP, "Stripe does not take the API key. Check STRIPE_SECRET_KEY, and set a valid one."
)
KEY_LIMITED = Row(
    SETUP,
    "The API key lacks a permission, or its account is restricted. Give the restricted key what"
    " docs/deployment.md lists, in Stripe › Developers › API keys.",
)
KEY_STATUSES = {401: KEY_REFUSED, 403: KEY_LIMITED}
REFUND_REFUSED = Row(PAYMENT, "Stripe refuses this refund.")
UNEXPECTED = Row(
    SETUP,
    "Stripe refuses a request of ours for a reason that we do not know. Its sentence below says"
    " what is wrong.",
)

ROWS: dict[str, Row] = {
    "email_invalid": Row(BUYER, "Stripe does not take the buyer's e-mail address."),
    "api_key_expired": KEY_ENDED,
    "platform_api_key_expired": KEY_ENDED,
    "secret_key_required": KEY_REFUSED,
    "livemode_mismatch": MODE,
    "testmode_charges_only": MODE,
    "account_invalid": ACCOUNT,
    "action_blocked": ACCOUNT,
    "approval_required": ACCOUNT,
    "capability_not_active": ACCOUNT,
    "request_blocked": ACCOUNT,
    "tls_version_unsupported": Row(
        SETUP, "Stripe does not take this machine's version of TLS. Update its OpenSSL."
    ),
    "amount_too_small": PRICE,
    "amount_too_large": PRICE,
    "invalid_charge_amount": PRICE,
    "charge_exceeds_transaction_limit": PRICE,
    "invoice_no_payment_method_types": METHODS,
    "payment_method_configuration_failures": METHODS,
    "payment_method_currency_mismatch": METHODS,
    "payment_method_not_available": METHODS,
    "payment_method_restricted": METHODS,
    "payment_method_unactivated": METHODS,
    "payment_method_unsupported_type": METHODS,
    "stripe_tax_inactive": TAX,
    "customer_tax_location_invalid": TAX,
    "invalid_tax_location": TAX,
    "url_invalid": ADDRESS,
    "invalid_characters": REQUEST,
    "parameter_invalid_empty": REQUEST,
    "parameter_invalid_integer": REQUEST,
    "parameter_invalid_string_blank": REQUEST,
    "parameter_invalid_string_empty": REQUEST,
    "parameter_invalid_string_too_long": REQUEST,
    "parameter_missing": REQUEST,
    "parameter_unknown": REQUEST,
    "parameters_exclusive": REQUEST,
    "charge_invalid_parameter": REQUEST,
    "payment_intent_invalid_parameter": REQUEST,
    "payment_method_invalid_parameter": REQUEST,
    "resource_missing": UNKNOWN,
    "rate_limit": BUSY,
    "lock_timeout": BUSY,
    "idempotency_key_in_use": BUSY,
    "payment_intent_rate_limit_exceeded": BUSY,
    "failed_tax_calculation": TROUBLE,
    "taxes_calculation_failed": TROUBLE,
    "payment_method_provider_timeout": TROUBLE,
    "processing_error": TROUBLE,
}

DISPUTED = Row(
    PAYMENT,
    "The buyer's bank disputes this payment, so Stripe refunds nothing: the dispute decides about"
    " the money.",
)
NO_BALANCE = Row(
    PAYMENT,
    "The balance at Stripe does not cover this refund. Add funds in Stripe › Balances, or try"
    " again after the next payments.",
)
OTHER_STATE = Row(
    PAYMENT,
    "The payment is not in a state that can be refunded. Look at it in Stripe.",
)
# What these codes mean for a refund that was asked for; the other codes mean what they do above.
REFUND_ROWS: dict[str, Row] = {
    "charge_disputed": DISPUTED,
    "refund_disputed_payment": DISPUTED,
    "balance_insufficient": NO_BALANCE,
    "insufficient_funds": NO_BALANCE,
    "charge_already_refunded": Row(
        PAYMENT,
        "All of it has been refunded in Stripe already; that is recorded here as soon as Stripe"
        " reports it.",
    ),
    "charge_not_refundable": Row(
        PAYMENT,
        "This payment cannot be refunded by the way it was made, or not any more. Agree with the"
        " buyer on another way, such as a bank transfer.",
    ),
    "charge_exceeds_source_limit": Row(
        PAYMENT, "Stripe's limit for refunds is reached for today. Please try again tomorrow."
    ),
    "amount_too_small": Row(PAYMENT, "Stripe does not refund so small an amount."),
    "amount_too_large": Row(PAYMENT, "That is more than Stripe has left of this payment."),
    "invalid_charge_amount": Row(PAYMENT, "That is no amount that Stripe can refund."),
    "intent_invalid_state": OTHER_STATE,
    "payment_intent_unexpected_state": OTHER_STATE,
    "status_transition_invalid": OTHER_STATE,
}


def row_of(code: str, param: str = "", *, status: int = 400, is_refund: bool = False) -> Row:
    """Return the row of a refusal: by parameter, by code, or the default of its kind.

    `status` is that of HTTP; `is_refund` says that a refund was asked for.
    """
    if _is_typed_email(code, param, status):
        return ROWS["email_invalid"]
    if param == SESSION_END and code not in NOT_TYPED and status not in KEY_STATUSES:
        return CLOCK
    if is_refund and code in REFUND_ROWS:
        return REFUND_ROWS[code]
    return ROWS.get(code) or _default(status, is_refund=is_refund)


def _is_typed_email(code: str, param: str, status: int) -> bool:
    name = param.rstrip("]").rpartition("[")[2]
    return name in EMAIL_PARAMS and code not in NOT_TYPED and status not in KEY_STATUSES


def _default(status: int, *, is_refund: bool) -> Row:
    if status in KEY_STATUSES:
        return KEY_STATUSES[status]
    return REFUND_REFUSED if is_refund else UNEXPECTED
