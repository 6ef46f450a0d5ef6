"""What control calls change about Stripe, beyond the options of the command line."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.stripe_refusals import Refusals


@dataclass(slots=True)
class StripeKey:
    """An API key: with ``permissions`` a restricted one, without (None) one that may do all."""

    permissions: frozenset[str] | None = None
    expired: bool = False


@dataclass(slots=True)
class Account:
    """The account that the keys belong to.

    Without ``settlement`` every currency settles as it is; with it, any other currency is converted
    to the default one.
    """

    business_name: str = "Sandbox Shop"
    country: str = "US"
    charges_enabled: bool = True
    default_currency: str = "usd"
    settlement: list[str] = field(default_factory=list)
    tax_active: bool = True
    tax_percent: int = 20
    pay_url: str = ""


@dataclass(slots=True)
class StripeSettings:
    keys: dict[str, StripeKey] = field(default_factory=dict)
    account: Account = field(default_factory=Account)
    refusals: Refusals = field(default_factory=Refusals)
