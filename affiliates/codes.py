"""Referral codes: opaque, short enough to say aloud, without letters that look alike."""

import secrets

ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without i, l, o, 0 and 1
LENGTH = 8
MAX_TYPED_LENGTH = 24


def new_code() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def normalize_code(text: str) -> str:
    """Return a code as we store it, or "" for what cannot be one, whatever it is."""
    code = text.strip().lower() if len(text) <= MAX_TYPED_LENGTH else ""
    return code if code and all(character in ALPHABET for character in code) else ""
