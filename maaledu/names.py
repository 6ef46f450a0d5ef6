"""Names of people, the same however they were typed or pasted.

A name may hold what no keyboard shows. The joiners of Persian, of Indian scripts and of emoji are
part of the spelling and are kept. Other format characters, such as marks of direction, come along
when text is copied and make two equal names differ: they are left out. Accents are composed (NFC),
as one machine writes them in one character and another in two.
"""

import unicodedata

ZWNJ, ZWJ = "\u200c", "\u200d"
JOINERS = ZWNJ + ZWJ
# Letters, a symbol and an accent that nobody sees: a name of them alone looks empty.
BLANKS = "\u3164\uffa0\u115f\u1160\u17b4\u17b5\u2800\u034f"
VIRAMA = 9  # its combining class: it takes the vowel of the letter before
REFUSED_CATEGORIES = {"Cc", "Cs"}  # control characters, and halves of a character


class ControlCharacters(ValueError):
    """A name with a character that commands a device, and is none of a name."""


def clean_name(text: str) -> str:
    """Return the name on one line, composed, without marks that cannot be seen.

    Raises ControlCharacters.
    """
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if any(unicodedata.category(character) in REFUSED_CATEGORIES for character in name):
        raise ControlCharacters
    return " ".join(_joined(without_marks(name)).split())


def is_mark(character: str) -> bool:
    return character in BLANKS or unicodedata.category(character) == "Cf"


def has_marks(text: str) -> bool:
    """Whether the text holds format characters, joiners apart."""
    return without_marks(text) != text


def strip_marks(text: str) -> str:
    """Return the text without blanks and marks that cannot be seen around it."""
    seen = [at for at, each in enumerate(text) if not each.isspace() and not is_mark(each)]
    return text[seen[0] : seen[-1] + 1] if seen else ""


def without_marks(text: str) -> str:
    """Return the text without format characters, joiners apart."""
    return "".join(each for each in text if each in JOINERS or not is_mark(each))


def _joined(text: str) -> str:
    """Return the text with those joiners alone that join, or that end a letter of Malayalam."""
    return "".join(
        character
        for at, character in enumerate(text)
        if character not in JOINERS or _joins(text[at - 1 : at], text[at + 1 : at + 2])
    )


def _joins(before: str, after: str) -> bool:
    if not before.strip() or before in JOINERS:
        return False
    follows_virama = unicodedata.combining(before) == VIRAMA
    return follows_virama or (bool(after.strip()) and after not in JOINERS)
