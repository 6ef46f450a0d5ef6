"""Which of several signing secrets are in use, while one is being rolled."""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

KEPT = timedelta(days=7)


def note_use(secrets: Iterable[str]) -> None:
    """Remember, where there are several, that these have just signed an event. In the cache: what
    is lost there is known again with the next event.
    """
    if len(settings.STRIPE_WEBHOOK_SECRETS) > 1:
        for secret in secrets:
            cache.set(_key(secret), timezone.now(), KEPT.total_seconds())


def last_use(secret: str) -> datetime | None:
    return cache.get(_key(secret))


def _key(secret: str) -> str:
    return f"webhook-secret:{hashlib.sha256(secret.encode()).hexdigest()[:16]}"
