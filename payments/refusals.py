"""A refusal of Stripe's, read by the table, logged, and alerted where staff must act.

The gateway calls this for every request, so that no refusal is mute.
"""

import hashlib
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from maaledu.storable import clean
from notifications.alerts import alert_staff
from payments.refusal_table import KEY_STATUSES, SETUP, Row, row_of

logger = logging.getLogger(__name__)

LONGEST_SENTENCE = 300  # characters of Stripe's sentence that staff see
LONGEST_NAME = 100  # characters of a code or parameter


@dataclass(frozen=True)
class Refusal:
    """What Stripe said when it refused, and the row that says what it means."""

    row: Row
    code: str = ""
    param: str = ""
    sentence: str = ""
    status: int = 0
    request_id: str = ""

    @property
    def is_about_key(self) -> bool:
        """Whether the key or the account is refused, and so every other request as well."""
        return self.row.fault == SETUP and self.status in KEY_STATUSES

    @property
    def cause(self) -> str:
        """What an alert is keyed by: code and parameter, or which sentence came without a code."""
        return ":".join(filter(None, (self.code or _without_code(self.sentence), self.param)))

    @property
    def facts(self) -> dict[str, Any]:
        """The fields of a log line, none of them by a name that logging uses itself."""
        return {
            "fault": self.row.fault,
            "stripe_code": self.code,
            "stripe_param": self.param,
            "stripe_message": self.sentence,
            "stripe_status": self.status,
            "stripe_request_id": self.request_id,
        }

    @property
    def reason(self) -> str:
        """Stripe's code and sentence, for the row of what was refused."""
        return ": ".join(filter(None, (self.code, self.sentence))) or f"HTTP {self.status}"

    def __str__(self) -> str:
        """Return what staff read: our words, Stripe's sentence, and how to find it at Stripe."""
        named = ", ".join(filter(None, (self.code, self.param, self.request_id)))
        says = f" Stripe says: “{self.sentence}”" if self.sentence else ""
        return f"{self.row.words}{says}" + (f" ({named})" if named else "")


def read(
    error: Mapping[str, Any], *, status: int, request_id: str, is_refund: bool = False
) -> Refusal:
    """Return the refusal that Stripe's error object means, whatever is missing in it or wrong."""
    code, param = (_line(error.get(name), LONGEST_NAME) for name in ("code", "param"))
    return Refusal(
        row=row_of(code, param, status=status, is_refund=is_refund),
        code=code,
        param=param,
        sentence=_line(error.get("message"), LONGEST_SENTENCE),
        status=status,
        request_id=_line(request_id, LONGEST_NAME),
    )


def _line(value: Any, most: int) -> str:
    """Return Stripe's text as one line that every engine can store, cut to `most` characters."""
    text = " ".join(clean(value).split()) if isinstance(value, str) else ""
    return text if len(text) <= most else f"{text[: most - 1]}…"


# What differs from one such sentence to the next: ids, numbers, addresses, and what is quoted
# but for the name of a permission, which is the cause itself.
VARYING = re.compile(r"'(?!rak_)[^']*'|\"[^\"]*\"|\S*[\d@]\S*")


def _without_code(sentence: str) -> str:
    digest = hashlib.blake2b(VARYING.sub("", sentence).encode(), digest_size=6).hexdigest()
    return f"no code {digest}"


def report(refusal: Refusal, *, about: str) -> None:
    """Log a refusal with all that Stripe said, and alert staff where its row says so.

    `about` says which request was refused. One cause alerts once a day, whatever else is refused
    on that day.
    """
    logger.warning("Stripe refused a request", extra={**refusal.facts, "about": about})
    if refusal.row.alerts:
        alert_staff(
            key=f"stripe-refused:{timezone.now():%Y-%m-%d}:{refusal.cause}",
            subject=f"Stripe refuses our requests: {refusal.code or 'see its sentence'}",
            lines=_lines(refusal, about),
        )


def _lines(refusal: Refusal, about: str) -> list[str]:
    named = {
        "code": refusal.code,
        "parameter": refusal.param,
        "HTTP status": refusal.status,
        "request": refusal.request_id,
    }
    return [
        refusal.row.words,
        f"Stripe says: “{refusal.sentence or 'nothing'}”",
        f"The first one today: {about}.",
        "; ".join(f"{name}: {value or 'none'}" for name, value in named.items()) + ".",
    ]
