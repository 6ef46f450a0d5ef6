"""Amounts as people type them, read exactly in the currency's own number of decimals."""

import re

from django.core.exceptions import ValidationError

from maaledu.money import exponent_of, plain_amount

MOST_DIGITS = 10  # before the point; a longer number is a typing error


def read_units(text: str, exponent: int) -> int:
    """Return "249.50" in units of its last decimal: 24950. Raises ValueError."""
    fraction = rf"(?:\.([0-9]{{1,{exponent}}}))?" if exponent else "()"
    typed = re.fullmatch(rf"(-?)([0-9]{{1,{MOST_DIGITS}}}){fraction}", text.strip())
    if typed is None:
        raise ValueError(text)
    sign, whole, decimals = typed.groups()
    return int(f"{sign}{whole}{(decimals or '').ljust(exponent, '0')}")


def read_amount(text: str, currency: str) -> int:
    """Return an amount of money in minor units, exactly as typed.

    Raises ValidationError with an example of how to type it.
    """
    exponent = exponent_of(currency)
    try:
        return read_units(text, exponent)
    except ValueError:
        example = plain_amount(24950, currency)
        raise ValidationError(
            f"Write the amount like {example}: digits and a point, nothing else.", code="invalid"
        ) from None
