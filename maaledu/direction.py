"""Keep text that runs from right to left from reordering what stands around it.

Pages have `<bdi>` and `dir="auto"` for it. Messages have a text without markup, and subjects: there
two characters that cannot be seen say the same.
"""

import unicodedata

from django.utils.translation import get_language_bidi

LEFT_TO_RIGHT_ISOLATE, FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2066", "\u2068", "\u2069"
RIGHT_TO_LEFT = {"R", "AL"}


def isolated(text: str) -> str:
    """Return a line with right-to-left letters isolated, and any other text as it is."""
    if "\n" in text or not any(unicodedata.bidirectional(c) in RIGHT_TO_LEFT for c in text):
        return text
    return f"{FIRST_STRONG_ISOLATE}{text}{POP_ISOLATE}"


def left_to_right(text: str) -> str:
    """Return what reads from left to right everywhere, such as an amount, isolated in a language
    that runs the other way: there its sign would change sides.
    """
    return f"{LEFT_TO_RIGHT_ISOLATE}{text}{POP_ISOLATE}" if get_language_bidi() else text
