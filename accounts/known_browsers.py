"""Browsers in which somebody has signed in before: their attempts are counted apart.

Otherwise ten wrong passwords by strangers, each quarter of an hour, would keep somebody out of
their own account (fault X2).
"""

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponseBase
from django.utils.crypto import get_random_string

from maaledu.vault import fingerprint, fingerprints

SALT = "accounts.known-browser"
PURPOSE = "known-browser"
LONGEST_COOKIE = 300


def limit_key(request: HttpRequest, email: str) -> str:
    """Return what attempts at this account are counted by: the account, or the account in this
    browser where it was signed in to here before.
    """
    account, _, browser = _read(request).partition(":")
    return f"{email}:{browser}" if account in fingerprints(PURPOSE, email) else email


def remember(request: HttpRequest, response: HttpResponseBase, email: str) -> None:
    """Let this browser prove later that this account was signed in to in it."""
    if limit_key(request, email) == email:
        text = f"{fingerprint(PURPOSE, email)}:{get_random_string(16)}"
        response.set_cookie(
            settings.KNOWN_BROWSER_COOKIE_NAME,
            signing.TimestampSigner(salt=SALT).sign(text),
            max_age=settings.KNOWN_BROWSER_LIFETIME,
            path="/",
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )


def _read(request: HttpRequest) -> str:
    cookie = request.COOKIES.get(settings.KNOWN_BROWSER_COOKIE_NAME, "")
    if not 0 < len(cookie) <= LONGEST_COOKIE:
        return ""
    signer = signing.TimestampSigner(salt=SALT)
    try:
        return signer.unsign(cookie, max_age=settings.KNOWN_BROWSER_LIFETIME)
    except signing.BadSignature:
        return ""
