"""Referral codes: opaque, short enough to say aloud, without letters that look alike."""

import re
import secrets

ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without i, l, o, 0 and 1
LENGTH = 8
MAX_TYPED_LENGTH = 24
LONGEST_LINK = 200
APPENDED = re.compile(r"[?&#/\\].*", re.DOTALL)
FIRST_WORD = re.compile(r"[^\W_]+")


def new_code() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def normalize_code(text: str) -> str:
    """Return a code as we store it, or "" for what cannot be one, whatever it is.

    A link that is copied out of a sentence brings along what stood around it, and a mail program
    or a network may append parameters of its own: `CODE.`, `(CODE)`, `CODE/`, `CODE?fbclid=1`,
    `CODE, it is good`.
    """
    found = FIRST_WORD.search(APPENDED.sub("", text[:LONGEST_LINK]))
    bare = found.group() if found else ""
    code = bare.lower() if len(bare) <= MAX_TYPED_LENGTH else ""
    return code if code and all(character in ALPHABET for character in code) else ""
