"""Automatic tax: worked out when the buyer's address is known, inside the price or on top of it."""

from __future__ import annotations

from typing import Any

from sandbox.world import World

Record = dict[str, Any]
INCLUSIVE = "inclusive"


def apply(world: World, session: Record) -> None:
    """Work out the tax of a session that is being paid: inclusive leaves its total as asked,
    anything else adds to it.
    """
    automatic = session["automatic_tax"]
    if not automatic["enabled"] or automatic["status"] == "complete":
        return
    percent = world.stripe.account.tax_percent
    added = 0
    for item in world.book.notes[session["id"]]["items"]:
        inclusive = item["price"]["tax_behavior"] == INCLUSIVE
        tax = _tax(item["amount_subtotal"], percent, inclusive=inclusive)
        item["amount_tax"] = tax
        if not inclusive:
            item["amount_total"] += tax
            added += tax
    taxes = sum(item["amount_tax"] for item in world.book.notes[session["id"]]["items"])
    session["amount_total"] += added
    session["total_details"]["amount_tax"] = taxes
    automatic |= {"status": "complete", "provider": "stripe", "liability": {"type": "self"}}


def _tax(amount: int, percent: int, *, inclusive: bool) -> int:
    whole = 100 + percent if inclusive else 100
    return (amount * percent + whole // 2) // whole
