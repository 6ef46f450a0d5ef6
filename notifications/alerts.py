"""Messages to staff. Each has a key that names its cause: a cause alerts once."""

import hashlib
import logging

from django.conf import settings

from notifications import outgoing

logger = logging.getLogger(__name__)

LONGEST_KEY = 120


def alert_staff(*, key: str, subject: str, lines: list[str]) -> None:
    """Stage one message per staff address for this cause, and log it at error level either way."""
    logger.error("staff alert", extra={"alert": key, "subject": subject})
    for address in settings.STAFF_ALERT_EMAILS:
        outgoing.stage(
            kind=outgoing.STAFF_ALERT,
            to=address,
            dedupe_key=_short(f"alert:{key}:{address}"),
            context={"subject": subject, "lines": lines},
        )


def _short(key: str) -> str:
    """Return a key as it is, or cut and with its hash where it is too long for its column."""
    if len(key) <= LONGEST_KEY:
        return key
    return f"{key[: LONGEST_KEY - 33]}~{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}"
