"""Which drawing a course has among those of its category, so that no two look alike."""

from collections.abc import Iterable
from itertools import count


def kept(category: str, number: int) -> str:
    """Return how a number is kept: with its category, as it means nothing in another one."""
    return f"{category}:{number}"


def number_of(kept_as: str, category: str) -> int | None:
    """Return the number that is kept, or None where there is none in this category."""
    of, _, number = kept_as.partition(":")
    return int(number) if of == category and number.isdecimal() else None


def free_number(category: str, taken: Iterable[str]) -> int:
    """Return the lowest number that no other course of the category has."""
    numbers = {number_of(each, category) for each in taken}
    return next(number for number in count() if number not in numbers)
