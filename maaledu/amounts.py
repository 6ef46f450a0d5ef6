"""Amounts as people type them: digits and a point, read exactly, in the currency's own number of
decimals.
"""

import re

from django.core.exceptions import ValidationError

from maaledu.money import exponent_of, plain_amount

MOST_DIGITS = 10  # before the point; what is longer is a slip of the hand


def read_units(text: str, exponent: int) -> int:
    """Return what was typed ("249.50") in units of its last decimal (24950), exactly. Raises
    ValueError.
    """
    fraction = rf"(?:\.([0-9]{{1,{exponent}}}))?" if exponent else "()"
    typed = re.fullmatch(rf"(-?)([0-9]{{1,{MOST_DIGITS}}}){fraction}", text.strip())
    if typed is None:
        raise ValueError(text)
    sign, whole, decimals = typed.groups()
    return int(f"{sign}{whole}{(decimals or '').ljust(exponent, '0')}")


def read_amount(text: str, currency: str) -> int:
    """Return an amount of money in minor units, exactly as typed. Raises ValidationError with an
    example of how to type it.
    """
    exponent = exponent_of(currency)
    try:
        return read_units(text, exponent)
    except ValueError:
        example = plain_amount(24950, currency)
        raise ValidationError(
            f"Write the amount like {example}: digits and a point, nothing else.", code="invalid"
        ) from None
