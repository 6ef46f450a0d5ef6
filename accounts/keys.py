"""API keys: made and revoked by staff, and found again when a program sends one."""

import hashlib
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.crypto import constant_time_compare

from accounts.api_key import ApiKey
from accounts.models import User
from maaledu.errors import AppError

logger = logging.getLogger(__name__)

START = "mk"
PREFIX_BYTES, SECRET_BYTES = 6, 32
LONGEST_KEY = 120
NOTE_USE_EVERY = timedelta(minutes=1)
SCOPES = {
    "checkout:write": "Start checkouts",
    "coupons:check": "Ask what a coupon gives",
    "grants:read": "Read the maker's own applications",
    "grants:write": "Apply for grants",
    "affiliate:read": "Read the maker's figures as an affiliate",
    "affiliate:write": "Join the affiliate program as the maker",
    "enrollments:read": "List enrollments that the maker may see",
    "sync:read": "Read statistics and failures of the LMS sync",
    "sync:write": "Retry the LMS sync",
}


class InvalidApiKey(AppError):
    code = "API_KEY_INVALID"
    message = "This API key is unknown, revoked or expired."
    http_status = 401


@dataclass(frozen=True)
class Order:
    """What a key is to be made for."""

    name: str
    scopes: Sequence[str]
    per_minute: int
    expires_at: datetime | None = None


def make(user: User, order: Order) -> tuple[ApiKey, str]:
    """Make a key in this user's name; return it with its text, which nobody can read again."""
    prefix, secret = secrets.token_hex(PREFIX_BYTES), secrets.token_urlsafe(SECRET_BYTES)
    key = ApiKey.objects.create(
        user=user,
        name=order.name,
        prefix=prefix,
        secret_hash=_hash(secret),
        scopes=" ".join(scope for scope in SCOPES if scope in order.scopes),
        per_minute=order.per_minute,
        expires_at=order.expires_at,
    )
    logger.info("API key made", extra={"key": prefix, "by": user.email})
    return key, f"{START}_{prefix}_{secret}"


def find(text: str) -> ApiKey | None:
    """Return the usable key of this text, with its user; None for anything else."""
    start, _, rest = text.partition("_")
    prefix, _, secret = rest.partition("_")
    if start != START or not secret or len(text) > LONGEST_KEY or not text.isascii():
        return None
    rows = ApiKey.objects.usable(timezone.now()).filter(prefix=prefix)
    key = rows.select_related("user").first()
    known = key.secret_hash if key else ""
    return key if constant_time_compare(known, _hash(secret)) else None


def note_use(key: ApiKey) -> None:
    """Keep when the key was last used, to the minute."""
    now = timezone.now()
    if key.last_used_at is None or key.last_used_at < now - NOTE_USE_EVERY:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)


def revoke(key: ApiKey, *, by: str) -> bool:
    """End a key at once, and return whether this call did."""
    rows = ApiKey.objects.filter(pk=key.pk, revoked_at=None)
    done = rows.update(revoked_at=timezone.now(), revoked_by=by) == 1
    if done:
        logger.info("API key revoked", extra={"key": key.prefix, "by": by})
    return done


def _hash(secret: str) -> str:
    # The secret has 256 random bits: nothing is gained by a slow hash.
    return hashlib.sha256(secret.encode()).hexdigest()
