"""Coupon codes: MAAL-XXXX-XXXX-XXXX, 60 random bits in an alphabet without look-alikes."""

import secrets

ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # 32 characters: no I, O, 0, 1
PREFIX = "MAAL"
GROUPS, GROUP_LENGTH = 3, 4
MAX_TYPED_LENGTH = 64


def new_code() -> str:
    groups = ("".join(secrets.choice(ALPHABET) for _ in range(GROUP_LENGTH)) for _ in range(GROUPS))
    return "-".join((PREFIX, *groups))


def normalize_code(typed: str) -> str:
    """Return the stored spelling of a typed code: upper case, with one dash between groups."""
    plain = "".join(c for c in typed[:MAX_TYPED_LENGTH].upper() if c.isascii() and c.isalnum())
    body = plain.removeprefix(PREFIX)
    groups = [body[i : i + GROUP_LENGTH] for i in range(0, len(body), GROUP_LENGTH)]
    return "-".join((PREFIX, *groups))
