"""Encrypt details at rest with DETAILS_KEYS, which are in the environment only.

The first key seals and each of them opens, so that a key is rolled by putting a new one in front
(Fernet: AES-128-CBC with HMAC).
"""

import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.utils.crypto import salted_hmac

from maaledu.errors import AppError


class CannotOpen(AppError):
    code = "SEALED_DETAILS_UNREADABLE"
    message = "These details were sealed with a key that is not there any more."


def _vault() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.DETAILS_KEYS])


def seal(details: dict[str, Any]) -> str:
    return _vault().encrypt(json.dumps(details).encode()).decode()


def unseal(sealed: str) -> dict[str, Any]:
    """Return what was sealed. Raises CannotOpen."""
    try:
        return json.loads(_vault().decrypt(sealed.encode()))
    except InvalidToken as error:
        raise CannotOpen from error


def is_sealed_with_first_key(sealed: str) -> bool:
    """Return whether the other keys are not needed for this one."""
    try:
        Fernet(settings.DETAILS_KEYS[0]).decrypt(sealed.encode())
    except InvalidToken:
        return False
    return True


def fingerprint(purpose: str, text: str) -> str:
    """Return a keyed hash: equal for equal texts, and useless without SECRET_KEY."""
    return _fingerprint(purpose, text, settings.SECRET_KEY)


def fingerprints(purpose: str, text: str) -> set[str]:
    """Return what `fingerprint` may have returned: by SECRET_KEY and by each of its fallbacks."""
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return {_fingerprint(purpose, text, key) for key in keys}


def _fingerprint(purpose: str, text: str, key: str) -> str:
    salt = f"maaledu.vault.{purpose}"
    return salted_hmac(salt, text, secret=key, algorithm="sha256").hexdigest()
