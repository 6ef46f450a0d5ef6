"""What an answer of an LMS means: the form of each platform's table, and the rows they share.

An answer is the LMS's word only in the LMS's own shape. Anything else, at any status, was written
by something in front of it (a proxy, a firewall, a log-in page) and says nothing about the job: it
is an outage of the platform and uses up no attempt. Driver, probe, `lms_check` and the words for
staff all read the same table. Source: decisions, "whose answer".
"""

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import responses
from typing import Any

from django.utils import timezone
from django.utils.html import strip_tags

from lms_sync.errors import (
    FOREIGN,
    LONGEST_WAIT,
    LmsError,
    LmsIntercepted,
    LmsThrottled,
    LmsUnreadable,
)
from lms_sync.platforms.client import Answer
from lms_sync.redaction import printable

DEFAULT_WAIT = timedelta(minutes=1)
MAX_TEXT = 500
MAX_ID = 140
MAX_TITLE = 80
_TITLE = re.compile(rb"<title[^>]*>(.{1,400}?)</title", re.IGNORECASE | re.DOTALL)
_WAIT_IN_WORDS = re.compile(r"\b(?:in|after) (\d{1,9}) seconds?\b", re.IGNORECASE)


@dataclass(frozen=True)
class Rule:
    """One row: applies when the status is among `statuses`, and, where given, shape and text fit.

    A row without a `shape` is about every shape of the platform's own, never about a FOREIGN
    answer. `reason` says what to do; without one the LMS's own text is shown. `wait` is how long a
    throttle lasts that names no time.
    """

    statuses: Container[int]
    error: type[LmsError]
    shape: str = ""
    text: str = ""
    reason: str = ""
    wait: timedelta = DEFAULT_WAIT

    def fits(self, status: int, shape: str, text: str) -> bool:
        return (
            status in self.statuses
            and (shape == self.shape or (not self.shape and shape != FOREIGN))
            and bool(re.search(self.text, text, re.IGNORECASE))
        )


def judge(rules: Sequence[Rule], answer: Answer, *, shape: str, text: str) -> LmsError:
    """Return the error that an answer stands for, by the first rule that fits.

    `shape` is what the platform calls an answer of this form, or FOREIGN; `text` is what it says.
    """
    details = {"status": answer.status, "shape": shape}
    rule = next((rule for rule in rules if rule.fits(answer.status, shape, text)), None)
    if rule is None:
        return LmsUnreadable("The answer is not one that is known.", **details)
    reason = rule.reason or text or shape
    if shape == FOREIGN:
        reason = f"{rule.reason} {_in_front(answer)}"
    if issubclass(rule.error, LmsThrottled):
        return rule.error(reason, retry_after=_pause(rule, answer, text), **details)
    return rule.error(reason, **details)


def rows_in_front(address_setting: str) -> tuple[Rule, ...]:
    """Return the rows about answers that are not the LMS's own, for the end of each table.

    `address_setting` names the setting with the address of the LMS.
    """
    look = f"Check {address_setting}, and what stands in front of the LMS."
    words = (
        (range(300, 400), f"It redirects. Set {address_setting} to where that leads."),
        ({401, 407}, "It asks for a password of its own. Let our calls pass without one."),
        ({403, 406, 418, 451}, "A firewall or a challenge page refuses. Let our calls pass it."),
        ({404, 405, 410, 421}, f"No LMS answers at this address. {look}"),
        ({413, 414, 431}, "It takes no request of this size. Raise its limit."),
        (range(500, 600), "The LMS is down or too slow behind it."),
        (range(100, 1000), look),
    )
    return (
        Rule({429}, LmsThrottled, FOREIGN, reason="Something in front of the LMS limits calls."),
        *(Rule(statuses, LmsIntercepted, FOREIGN, reason=reason) for statuses, reason in words),
    )


def _in_front(answer: Answer) -> str:
    """Return by what staff may recognize who has answered: server, status and title of the page."""
    found = _TITLE.search(answer.body)
    title = plain(found[1].decode(errors="replace"))[:MAX_TITLE] if found else ""
    server = plain(answer.headers.get("Server", ""))[:MAX_TITLE]
    shown = [f"HTTP {answer.status}", server and f"from {server}", title and f"“{title}”"]
    return f"({' '.join(part for part in shown if part)})"


def only_names(status: int, payload: Any) -> bool:
    """Return whether all that an answer says is what its status is called: gateways speak so."""
    said = payload.get("message") if isinstance(payload, dict) and len(payload) == 1 else None
    return isinstance(said, str) and said.casefold() == responses.get(status, "").casefold() != ""


def plain(text: Any) -> str:
    """Return third-party text as one short line without markup."""
    return " ".join(printable(strip_tags(str(text)[: 8 * MAX_TEXT])).split())[:MAX_TEXT]


def read_id(candidate: Any) -> str:
    """Return an enrollment's id; raises LmsUnreadable unless it is a plain, non-empty string."""
    if isinstance(candidate, str) and 0 < len(candidate) <= MAX_ID and candidate.isprintable():
        return candidate
    raise LmsUnreadable("The answer names no enrollment.", kind="no_id")


def _pause(rule: Rule, answer: Answer, text: str) -> timedelta:
    header = answer.headers.get("Retry-After", "")
    if header:
        return retry_after(header, timezone.now())
    in_words = _WAIT_IN_WORDS.search(text)
    return timedelta(seconds=int(in_words[1])) if in_words else rule.wait


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
