"""The Stripe account: what /v1/account says of it, and what it does not let be sold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.stripe_currency import MINIMUMS, display, exponent
from sandbox.stripe_errors import ACCOUNT_ID, StripeRefusal
from sandbox.stripe_lists import EXPAND_ONLY
from sandbox.stripe_refusals import KNOWN
from sandbox.stripe_settings import Account
from sandbox.world import World

Record = dict[str, Any]
# What a thousand dollars are in each currency: near enough to find which amounts are too small.
RATES = {
    "usd": 1000,
    "aed": 3673,
    "aud": 1520,
    "bgn": 1800,
    "brl": 5500,
    "cad": 1390,
    "chf": 890,
    "czk": 23000,
    "dkk": 6900,
    "eur": 920,
    "gbp": 790,
    "hkd": 7800,
    "huf": 360000,
    "inr": 84000,
    "jpy": 150000,
    "kzt": 490000,
    "mxn": 18000,
    "myr": 4400,
    "nok": 10800,
    "nzd": 1660,
    "pln": 4000,
    "ron": 4600,
    "sek": 10500,
    "sgd": 1340,
    "thb": 35000,
    "try": 34000,
    "uah": 41000,
}


def check_session(world: World, checked: Record, amount: int) -> None:
    """Refuse a new session that this account cannot take money for."""
    account = world.stripe.account
    if not account.charges_enabled:
        raise StripeRefusal("Your account cannot currently make charges.", executed=True)
    if not account.business_name:
        raise StripeRefusal(KNOWN["account_name_missing"]["message"], executed=True)
    if checked.get("automatic_tax", {}).get("enabled") and not account.tax_active:
        raise StripeRefusal(
            "You must have a valid head office address to enable automatic tax calculation. Visit"
            " https://dashboard.stripe.com/settings/tax to update it.",
            executed=True,
        )
    _check_minimum(account, amount, checked["line_items"][0]["price_data"]["currency"])


def _check_minimum(account: Account, amount: int, currency: str) -> None:
    """Refuse what is too small in the currency that the money settles in."""
    target = account.default_currency
    if not account.settlement or currency in account.settlement or not amount:
        return
    if currency not in RATES or target not in RATES:
        return
    least = MINIMUMS.get(target, 50)
    converted = _convert(amount, currency, target)
    if converted < least:
        raise StripeRefusal(
            "The Checkout Session's total amount must convert to at least"
            f" {display(least, target)}. {display(amount, currency)} converts to approximately"
            f" {display(converted, target)}.",
            code="amount_too_small",
            executed=True,
        )


def _convert(amount: int, currency: str, target: str) -> int:
    up, down = RATES[target] * 10 ** exponent(target), RATES[currency] * 10 ** exponent(currency)
    return amount * up // down


class Accounts:
    """The endpoint /v1/account: the account of the key."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.routes: list[tuple[str, str, Callable[..., object]]] = [
            ("GET", r"/v1/account", self.get),
        ]

    def get(self, *, params: Record, who: Record) -> Record:
        EXPAND_ONLY(params, "")
        return _shown(self.world.stripe.account)


def _shown(account: Account) -> Record:
    state = "active" if account.charges_enabled else "inactive"
    return {
        "id": ACCOUNT_ID,
        "object": "account",
        "business_profile": {"name": account.business_name or None, "url": None},
        "business_type": "company",
        "capabilities": {"card_payments": state, "transfers": state},
        "charges_enabled": account.charges_enabled,
        "country": account.country,
        "created": 1577836800,
        "default_currency": account.default_currency,
        "details_submitted": True,
        "email": "owner@example.com",
        "metadata": {},
        "payouts_enabled": account.charges_enabled,
        "requirements": {
            "currently_due": []
            if account.charges_enabled
            else ["individual.verification.document"],
            "disabled_reason": None if account.charges_enabled else "requirements.past_due",
        },
        "settings": {"dashboard": {"display_name": account.business_name or None}},
        "type": "standard",
    }
