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
class StripeSettings:
    keys: dict[str, StripeKey] = field(default_factory=dict)
    refusals: Refusals = field(default_factory=Refusals)
