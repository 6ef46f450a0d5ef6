"""What an answer of Frappe means: decided on status and `exc_type`, then on the text.

Never on the traceback, which a setting of the server hides. Source: contracts/frappe, sections 1,
4, 8.
"""

import json
import re
from collections.abc import Container
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from django.utils import timezone
from django.utils.html import strip_tags

from lms_sync.errors import (
    LONGEST_WAIT,
    LmsBrokenLink,
    LmsContended,
    LmsDuplicate,
    LmsError,
    LmsMisconfigured,
    LmsNotFound,
    LmsRefused,
    LmsThrottled,
    LmsUnavailable,
    LmsUnreadable,
)
from lms_sync.platforms.client import Answer
from lms_sync.redaction import printable

DEFAULT_WAIT = timedelta(minutes=1)
MAX_TEXT = 500
MAX_ID = 140


@dataclass(frozen=True)
class Rule:
    """Applies when the status is among `statuses`, and, where given, the type and the text fit."""

    statuses: Container[int]
    error: type[LmsError]
    exc_type: str = ""
    text: str = ""
    reason: str = ""

    def fits(self, status: int, exc_type: str, text: str) -> bool:
        return (
            status in self.statuses
            and self.exc_type in ("", exc_type)
            and bool(re.search(self.text, text, re.IGNORECASE))
        )


REDIRECT = "The address answers with a redirect. Set FRAPPE_LMS_BASE_URL to where it leads."
NO_SITE = "No LMS answers at this address. Check FRAPPE_LMS_BASE_URL."
BAD_KEY = "The LMS does not accept the key. Check FRAPPE_LMS_API_KEY (key:secret)."
NO_RIGHT = "The key's user may not do this. It needs the roles System Manager and Moderator."
NO_METHOD = (
    "The LMS lacks the custom payment confirmation method. Install it, or set FRAPPE_DRIVER=rest."
)
COOKIE = "The LMS asks for a CSRF token, so something on the way adds a login cookie."

MISSING_METHOD = Rule(
    {417}, LmsMisconfigured, text="Failed to get method for command", reason=NO_METHOD
)
# The first rule that fits holds.
RULES = (
    Rule(range(300, 400), LmsMisconfigured, reason=REDIRECT),
    Rule({400}, LmsMisconfigured, "CSRFTokenError", reason=COOKIE),
    Rule({401}, LmsMisconfigured, reason=BAD_KEY),
    Rule({403}, LmsMisconfigured, reason=NO_RIGHT),
    Rule({404}, LmsNotFound, "DoesNotExistError"),
    Rule({404, 405}, LmsMisconfigured, reason=NO_SITE),
    Rule({408}, LmsUnavailable),
    Rule({409}, LmsDuplicate),
    MISSING_METHOD,
    Rule({417}, LmsThrottled, "ValidationError", text=r"^\s*Throttled\b"),
    Rule({417}, LmsBrokenLink, "LinkValidationError"),
    Rule({417}, LmsDuplicate, "UniqueValidationError"),
    Rule({417}, LmsContended, "TimestampMismatchError"),
    Rule({429}, LmsThrottled),
    Rule(range(400, 500), LmsRefused),
    Rule(range(500, 600), LmsUnavailable),
)


def value(answer: Answer, key: str) -> Any:
    """Return what a good answer has under `key`, data or message; raise what a bad one means."""
    payload = answer.json()
    good = 200 <= answer.status < 300 and isinstance(payload, dict) and key in payload
    if not good or "exc_type" in payload or "exc" in payload:
        raise meaning(answer, payload)
    return payload[key]


def meaning(answer: Answer, payload: Any) -> LmsError:
    """Return the error that an answer other than a good one stands for."""
    document = payload if isinstance(payload, dict) else {}
    exc_type = str(document.get("exc_type") or "")[:MAX_TEXT]
    text = message_text(document)
    details = {"status": answer.status, "exc_type": exc_type}
    rule = next((rule for rule in RULES if rule.fits(answer.status, exc_type, text)), None)
    if rule is None:
        return LmsUnreadable("The answer is not one of Frappe's.", **details)
    reason = rule.reason or text or exc_type or f"HTTP {answer.status} without an explanation."
    if rule.error is LmsThrottled:
        return LmsThrottled(reason, retry_after=_wait(answer), **details)
    return rule.error(reason, **details)


def lacks_method(answer: Answer) -> bool:
    """Return whether Frappe says that it has no such method: by 417, not by 404."""
    payload = answer.json()
    return isinstance(payload, dict) and MISSING_METHOD.fits(
        answer.status, "", message_text(payload)
    )


def message_text(document: dict[str, Any]) -> str:
    """Return the text of an error: `_server_messages` is a JSON list of JSON strings with HTML."""
    texts = [_one_message(item) for item in _list_in(document.get("_server_messages"))]
    if not texts and document.get("_error_message"):
        texts = [str(document["_error_message"])]
    return plain(" ".join(texts))


def plain(text: Any) -> str:
    """Return third-party text as one short line without markup."""
    return " ".join(printable(strip_tags(str(text)[: 8 * MAX_TEXT])).split())[:MAX_TEXT]


def read_id(candidate: Any) -> str:
    """Return an enrollment's id; raises LmsUnreadable unless it is a plain, non-empty string."""
    if isinstance(candidate, str) and 0 < len(candidate) <= MAX_ID and candidate.isprintable():
        return candidate
    raise LmsUnreadable("The answer names no enrollment.", kind="no_id")


def _list_in(text: Any) -> list[Any]:
    decoded = _decoded(text)
    return decoded if isinstance(decoded, list) else []


def _one_message(item: Any) -> str:
    decoded = _decoded(item)
    return str(decoded.get("message") or "") if isinstance(decoded, dict) else str(item)


def _decoded(text: Any) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return text


def _wait(answer: Answer) -> timedelta:
    """Return how long to wait; the limit on new users (417) names no time, and lasts an hour."""
    if answer.status == 417:
        return LONGEST_WAIT
    return retry_after(answer.headers.get("Retry-After", ""), timezone.now())


def retry_after(header: str, now: datetime) -> timedelta:
    """Return the pause of a Retry-After header, in seconds or a date, at most LONGEST_WAIT.

    One that cannot be read counts as one minute.
    """
    ceiling = int(LONGEST_WAIT.total_seconds())
    try:
        return timedelta(seconds=max(-1, min(int(header), ceiling)))
    except ValueError:
        return _until_date(header, now)


def _until_date(header: str, now: datetime) -> timedelta:
    try:
        moment = parsedate_to_datetime(header)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    except (ValueError, TypeError, IndexError, OverflowError):
        return DEFAULT_WAIT
