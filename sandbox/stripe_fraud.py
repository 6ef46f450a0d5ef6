"""Early fraud warnings: the card's issuer reports fraud, often some time before a dispute."""

from __future__ import annotations

from typing import Any

from sandbox.stripe_events import emit
from sandbox.stripe_objects import new_id
from sandbox.world import World

Record = dict[str, Any]
FRAUD_TYPES = (
    "card_never_received",
    "fraudulent_card_application",
    "made_with_counterfeit_card",
    "made_with_lost_card",
    "made_with_stolen_card",
    "misc",
    "unauthorized_use_of_card",
)


def open_warning(world: World, charge: Record, data: Record) -> Record:
    """Warn of a paid charge and send the event.

    Raises ValueError for an unknown ``fraud_type`` or a charge that was not paid.
    """
    fraud_type = str(data.get("fraud_type") or "made_with_stolen_card")
    if fraud_type not in FRAUD_TYPES:
        raise ValueError(f"fraud_type must be one of {', '.join(FRAUD_TYPES)}")
    if not charge["paid"]:
        raise ValueError("Only a paid charge can be reported as fraud.")
    with world.book.lock:
        warning = {
            "id": new_id("issfr"),
            "object": "radar.early_fraud_warning",
            "actionable": _is_actionable(charge),
            "charge": charge["id"],
            "created": int(world.book.now()),
            "fraud_type": fraud_type,
            "livemode": charge["livemode"],
            "payment_intent": charge["payment_intent"],
        }
        world.book.warnings[warning["id"]] = warning
        emit(world, "radar.early_fraud_warning.created", warning)
        return warning


def follow(world: World, charge: Record) -> None:
    """Bring the warnings of a charge up to date that was refunded or disputed."""
    for warning in world.book.warnings.values():
        if warning["charge"] == charge["id"] and warning["actionable"] != _is_actionable(charge):
            before = {"actionable": warning["actionable"]}
            warning["actionable"] = _is_actionable(charge)
            emit(world, "radar.early_fraud_warning.updated", warning, before=before)


def _is_actionable(charge: Record) -> bool:
    return not charge["disputed"] and not charge["refunded"]
