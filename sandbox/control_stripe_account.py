"""The control calls about the Stripe account: how it behaves, its keys, and its refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from sandbox import stripe_keys
from sandbox.options import REFUND_STATUSES
from sandbox.stripe_settings import Account, StripeKey
from sandbox.world import World

Data = dict[str, Any]


class StripeAccountControl:
    """The routes that ``Control`` takes over."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.routes: list[tuple[str, str, Callable[..., object]]] = [
            ("POST", r"/control/stripe", self.stripe),
            ("POST", r"/control/stripe/keys", self.key),
            ("GET", r"/control/stripe/refusals", self.refusals),
            ("POST", r"/control/stripe/refusals", self.refuse),
            ("DELETE", r"/control/stripe/refusals", self.clear_refusals),
            ("POST", r"/control/stripe/account", self.account),
        ]

    def stripe(self, data: Data) -> Data:
        """Change how the Stripe stand-in behaves.

        ``async_delay`` and ``webhook_wait`` are in seconds, ``key`` is the API key, and
        ``refund_status`` says how refunds begin.
        """
        options = self.world.options
        if data.get("refund_status", options.refund_status) not in REFUND_STATUSES:
            raise ValueError(f"refund_status must be one of {', '.join(REFUND_STATUSES)}")
        options.refund_status = data.get("refund_status", options.refund_status)
        options.async_delay = float(data.get("async_delay", options.async_delay))
        options.webhook_wait = float(data.get("webhook_wait", options.webhook_wait))
        options.stripe_key = str(data.get("key", options.stripe_key))
        return {
            "async_delay": options.async_delay,
            "webhook_wait": options.webhook_wait,
            "refund_status": options.refund_status,
        }

    def account(self, data: Data) -> Data:
        """Change the account: any field of ``Account``."""
        account = self.world.stripe.account
        for name, value in data.items():
            if name not in Account.__slots__ or not isinstance(value, type(getattr(account, name))):
                raise ValueError(f"{name} is no field of the account, or no such value")
            setattr(account, name, value)
        return asdict(account)

    def key(self, data: Data) -> Data:
        """Add or change an API key; any other key stays as it is.

        ``permissions`` make it a restricted one, ``expired`` ends it.
        """
        names = data.get("permissions")
        self.world.stripe.keys[str(data["key"])] = StripeKey(
            None if names is None else stripe_keys.permissions(names),
            bool(data.get("expired", False)),
        )
        return {"keys": sorted(self.world.stripe.keys)}

    def refusals(self, data: Data) -> Data:
        return {"refusals": self.world.stripe.refusals.all()}

    def refuse(self, data: Data) -> Data:
        """Refuse the calls that begin with ``match``, ``times`` often or always.

        The refusal is a known ``reason``, or any code, param, message, status, type and
        decline_code.
        """
        return self.world.stripe.refusals.add(data)

    def clear_refusals(self, data: Data) -> Data:
        self.world.stripe.refusals.clear()
        return self.refusals(data)
