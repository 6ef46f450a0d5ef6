"""How a term is read that staff type into the search of a list: as what it looks like, so that each
search is a few looks into indexes, however long the list is.

A whole id, e-mail address, Stripe id, code or key is found where it stands as it was typed.
Anything else is also the beginning of the fields that are declared with `^`, as in `^email`.
"""

import re
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from maaledu.storable import is_storable
from maaledu.unions import starting_with

ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
# What Stripe's ids begin with, and the columns that hold them.
STRIPE_IDS = {
    "cs": ("stripe_session_id", "session_id"),
    "pi": ("stripe_payment_intent_id", "payment_intent_id", "payment_reference"),
    "evt": ("event_id",),
    "re": ("stripe_refund_id",),
    "pyr": ("stripe_refund_id",),
    "dp": ("stripe_dispute_id",),
    "du": ("stripe_dispute_id",),
    "issfr": ("stripe_warning_id",),
}


def read(text: str, fields: Iterable[str]) -> list[Q]:
    """Return what a term may be, each alone by an index; nothing where no database stores it."""
    if not is_storable(text):
        return []
    names = [field.lstrip("^=@") for field in fields]
    prefix, _, rest = text.partition("_")
    if rest and prefix in STRIPE_IDS:
        names = [name for name in names if _column(name) in STRIPE_IDS[prefix]] or names
        return [Q(**{name: text}) for name in names]
    address = text.lower()
    if ADDRESS.fullmatch(address):
        of_people = [name for name in names if _column(name) in ("email", "to", "address")]
        if of_people:
            return [Q(**{name: address}) for name in of_people]
    begins = [field[1:] for field in fields if field.startswith("^")]
    return [
        *(Q(**{name: text}) for name in names),
        *(starting_with(name, begun) for begun in {text, address} for name in begins),
    ]


def _column(name: str) -> str:
    return name.rpartition("__")[2]


def uuid_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def any_of(rows: QuerySet[Any], conditions: list[Q]) -> QuerySet[Any]:
    """Return the rows for which one of these holds.

    As a union of keys: no database looks into the indexes of several tables for one OR.
    """
    if not conditions:
        return rows.none()
    if connection.vendor == "mongodb":
        return rows.filter(Q(*conditions, _connector=Q.OR))
    keys = [rows.model._base_manager.filter(each).order_by().values("pk") for each in conditions]
    return rows.filter(pk__in=keys[0].union(*keys[1:]) if len(keys) > 1 else keys[0])
