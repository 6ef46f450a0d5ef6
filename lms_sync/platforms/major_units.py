"""Amounts as an LMS reads them: exact decimal numbers in major units, never a float."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from maaledu.money import CURRENCIES


def major_units(amount: int, currency: str) -> str:
    """Return minor units as an exact decimal number: 24950 usd is 249.50, 5000 jpy is 5000."""
    exponent = CURRENCIES[currency.lower()].exponent if currency else 2
    return str(Decimal(amount).scaleb(-exponent))


def with_amounts(body: Mapping[str, Any], amounts: Mapping[str, int | None], currency: str) -> str:
    """Return the body as JSON text, with those of the amounts that are known behind the rest."""
    numbers = "".join(
        f', "{name}": {major_units(amount, currency)}'
        for name, amount in amounts.items()
        if amount is not None
    )
    return f"{json.dumps(body)[:-1]}{numbers}}}"
