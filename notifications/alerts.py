"""Messages to staff. Each has a key that names its cause: a cause alerts once."""

import logging

from django.conf import settings

from notifications import outgoing

logger = logging.getLogger(__name__)


def alert_staff(*, key: str, subject: str, lines: list[str]) -> None:
    """Stage one message per staff address for this cause, and log it at error level either way."""
    logger.error("staff alert", extra={"alert": key, "subject": subject})
    for address in settings.STAFF_ALERT_EMAILS:
        outgoing.stage(
            kind=outgoing.STAFF_ALERT,
            to=address,
            dedupe_key=f"alert:{key}:{address}"[:120],
            context={"subject": subject, "lines": lines},
        )
