"""What POST /v1/checkout/sessions takes, and the rules between its parameters.

The API version is 2026-10-28.endive.
"""

from __future__ import annotations

from typing import Any

from sandbox import stripe_params as check
from sandbox.stripe_currency import CURRENCIES, MAXIMUM, MINIMUMS, display
from sandbox.stripe_errors import StripeRefusal, missing

HALF_HOUR, DAY = 30 * 60, 24 * 3600
CLOCK_SLACK = 5
LOCALE_CODES = """
auto bg cs da de el en en-GB es es-419 et fi fil fr fr-CA hi-IN hr hu id it ja ko lt lv ms mt nb nl
pl pt pt-BR ro ru sk sl sv th tr vi zh zh-HK zh-TW
"""
LOCALES = LOCALE_CODES.split()


def currency(value: Any, param: str) -> str:
    code = check.text()(value, param).lower()
    if code not in CURRENCIES:
        raise StripeRefusal(
            f"Invalid currency: {code}. Stripe takes three-letter ISO codes such as usd or eur.",
            param=param,
        )
    return str(code)


PRODUCT = check.fields(
    {
        "name": check.text(5000),
        "description": check.text(40000),
        "metadata": check.metadata,
        "images": check.list_of(check.url, 8),
        "tax_code": check.text(),
        "tax_details": check.anything,
        "unit_label": check.text(12),
    },
    required=("name",),
)
PRICE = check.fields(
    {
        "currency": currency,
        "unit_amount": check.integer(0, MAXIMUM),
        "product": check.text(),
        "product_data": PRODUCT,
        "tax_behavior": check.one_of("exclusive", "inclusive", "unspecified"),
        "recurring": check.anything,
        "unit_amount_decimal": check.anything,
    },
    required=("currency",),
)
LINE_ITEM = check.fields(
    {
        "price_data": PRICE,
        "price": check.text(),
        "quantity": check.integer(1, 999_999),
        "adjustable_quantity": check.anything,
        "metadata": check.metadata,
        "tax_rates": check.anything,
    },
)
INTENT = check.fields(
    {
        "description": check.text(1000),
        "metadata": check.metadata,
        "receipt_email": check.email,
        "statement_descriptor": check.text(22),
        "statement_descriptor_suffix": check.text(22),
        "capture_method": check.one_of("automatic", "automatic_async", "manual"),
        "setup_future_usage": check.one_of("off_session", "on_session"),
        "transfer_group": check.text(),
        **dict.fromkeys(
            ("application_fee_amount", "on_behalf_of", "shipping", "transfer_data"), check.anything
        ),
    },
)
INVOICE = check.fields(
    {
        "account_tax_ids": check.list_of(check.text()),
        "custom_fields": check.list_of(
            check.fields({"name": check.text(40), "value": check.text(140)}), 4
        ),
        "description": check.text(1500),
        "footer": check.text(5000),
        "issuer": check.anything,
        "metadata": check.metadata,
        "rendering_options": check.anything,
    },
)
SWITCH = check.fields({"enabled": check.boolean}, required=("enabled",))
SESSION = check.fields(
    {
        "mode": check.one_of("payment", "setup", "subscription"),
        "line_items": check.list_of(LINE_ITEM, 100),
        "success_url": check.url,
        "cancel_url": check.url,
        "client_reference_id": check.text(200),
        "customer": check.text(),
        "customer_email": check.email,
        "customer_creation": check.one_of("always", "if_required"),
        "currency": currency,
        "expires_at": check.integer(0),
        "expand": check.list_of(check.text()),
        "locale": check.one_of(*LOCALES),
        "metadata": check.metadata,
        "payment_intent_data": INTENT,
        "ui_mode": check.one_of("elements", "embedded_page", "form", "hosted_page"),
        "adaptive_pricing": check.fields({"enabled": check.boolean}),
        "allow_promotion_codes": check.boolean,
        "discounts": check.list_of(
            check.fields({"coupon": check.text(), "promotion_code": check.text()}), 1
        ),
        "automatic_tax": check.fields(
            {"enabled": check.boolean, "liability": check.anything}, required=("enabled",)
        ),
        "invoice_creation": check.fields(
            {"enabled": check.boolean, "invoice_data": INVOICE}, required=("enabled",)
        ),
        "after_expiration": check.fields(
            {
                "recovery": check.fields(
                    {"enabled": check.boolean, "allow_promotion_codes": check.boolean}
                )
            }
        ),
        "allowed_payment_method_types": check.list_of(check.text()),
        "excluded_payment_method_types": check.list_of(check.text()),
        "payment_method_configuration": check.text(),
        "billing_address_collection": check.one_of("auto", "required"),
        "submit_type": check.one_of("auto", "book", "donate", "pay", "subscribe"),
        "phone_number_collection": SWITCH,
        "tax_id_collection": check.fields(
            {"enabled": check.boolean, "required": check.anything}, required=("enabled",)
        ),
        **dict.fromkeys(
            (
                "branding_settings",
                "consent_collection",
                "custom_fields",
                "custom_text",
                "customer_account",
                "customer_update",
                "integration_identifier",
                "managed_payments",
                "name_collection",
                "optional_items",
                "origin_context",
                "payment_method_collection",
                "payment_method_data",
                "payment_method_options",
                "permissions",
                "redirect_on_completion",
                "return_url",
                "saved_payment_method_options",
                "setup_intent_data",
                "shipping_address_collection",
                "shipping_options",
                "subscription_data",
                "wallet_options",
            ),
            check.anything,
        ),
    },
)


def read(params: dict[str, Any], now: int) -> dict[str, Any]:
    """Return the checked parameters of a new session. Raises StripeRefusal as Stripe would."""
    checked: dict[str, Any] = SESSION(params, "")
    _check_mode(checked)
    _check_customer(checked)
    _check_expiry(checked, now)
    for index, item in enumerate(checked["line_items"]):
        _check_item(item, f"line_items[{index}]")
    _check_total(checked)
    return checked


def total(items: list[dict[str, Any]]) -> int:
    return sum(item["price_data"]["unit_amount"] * item["quantity"] for item in items)


def _check_mode(checked: dict[str, Any]) -> None:
    if "mode" not in checked:
        raise StripeRefusal("Missing required param: mode.", code="parameter_missing", param="mode")
    if checked["mode"] != "payment":
        raise StripeRefusal("The sandbox knows only sessions with mode payment.", param="mode")
    if checked.get("ui_mode", "hosted_page") != "hosted_page":
        raise StripeRefusal(
            "The sandbox knows only sessions with ui_mode hosted_page.", param="ui_mode"
        )
    if not checked.get("line_items"):
        raise StripeRefusal(
            "Missing required param: line_items. It is required in payment mode.",
            code="parameter_missing",
            param="line_items",
        )
    if "success_url" not in checked:
        raise StripeRefusal(
            "Missing required param: success_url.", code="parameter_missing", param="success_url"
        )


def _check_customer(checked: dict[str, Any]) -> None:
    if "customer" in checked and "customer_email" in checked:
        raise StripeRefusal(
            "Only one of these parameters may be given: customer, customer_email.",
            param="customer_email",
        )
    if "customer" in checked:
        raise missing("customer", checked["customer"], "customer", 400)
    if checked.get("discounts") and checked.get("allow_promotion_codes"):
        raise StripeRefusal(
            "Only one of these parameters may be given: allow_promotion_codes, discounts."
        )
    for discount in checked.get("discounts", []):
        kind, name = next(iter(discount.items()))
        raise missing(kind.replace("_", " "), name, f"discounts[0][{kind}]", 400)


def _check_expiry(checked: dict[str, Any], now: int) -> None:
    ahead = checked.get("expires_at", now + DAY) - now
    if ahead < HALF_HOUR - CLOCK_SLACK:
        raise StripeRefusal(
            "`expires_at` must be at least 30 minutes after the Checkout Session is created.",
            param="expires_at",
        )
    if ahead > DAY + CLOCK_SLACK:
        raise StripeRefusal(
            "`expires_at` must be at most 24 hours after the Checkout Session is created.",
            param="expires_at",
        )


def _check_item(item: dict[str, Any], param: str) -> None:
    if "price" in item:
        raise missing("price", item["price"], f"{param}[price]", 400)
    if "price_data" not in item:
        raise StripeRefusal(
            f"Missing required param: {param}[price_data].",
            code="parameter_missing",
            param=f"{param}[price_data]",
        )
    price = item["price_data"]
    if "product" in price:
        raise missing("product", price["product"], f"{param}[price_data][product]", 400)
    for name, given in (
        ("price_data][product_data", "product_data" in price),
        ("price_data][unit_amount", "unit_amount" in price),
        ("quantity", "quantity" in item),
    ):
        if not given:
            raise StripeRefusal(
                f"Missing required param: {param}[{name}].",
                code="parameter_missing",
                param=f"{param}[{name}]",
            )


def _check_total(checked: dict[str, Any]) -> None:
    items = checked["line_items"]
    codes = {item["price_data"]["currency"] for item in items}
    if len(codes) > 1:
        raise StripeRefusal(
            f"All line items must have one currency; these have {', '.join(sorted(codes))}.",
            param="line_items",
        )
    code, amount = codes.pop(), total(items)
    least = MINIMUMS.get(code, 50)
    if 0 < amount < least:
        raise StripeRefusal(
            f"The Checkout Session's total amount must be at least {display(least, code)}.",
            code="amount_too_small",
            executed=True,
        )
    if amount > MAXIMUM:
        raise StripeRefusal(
            f"The Checkout Session's total amount must be no more than {display(MAXIMUM, code)}.",
            code="amount_too_large",
            executed=True,
        )
