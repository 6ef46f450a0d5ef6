"""What an answer of Frappe means: its table, decided on status and `exc_type`, then on the text.

Never on the traceback, which a setting of the server hides. Source: contracts/frappe, sections 1,
4, 8.
"""

import json
from typing import Any

from lms_sync.errors import (
    FOREIGN,
    LONGEST_WAIT,
    LmsBrokenLink,
    LmsContended,
    LmsDuplicate,
    LmsError,
    LmsIntercepted,
    LmsMaintenance,
    LmsMisconfigured,
    LmsNoNewUsers,
    LmsNotFound,
    LmsRefused,
    LmsThrottled,
    LmsUnavailable,
    LmsUnreadable,
)
from lms_sync.platforms.answers import MAX_TEXT, Rule, judge, only_names, plain, rows_in_front
from lms_sync.platforms.client import Answer

BAD_KEY = "The LMS does not accept the key. Check FRAPPE_LMS_API_KEY (key:secret)."
NO_RIGHT = "The key's user may not do this. It needs the roles System Manager and Moderator."
BLOCKED = (
    "The LMS's setting block_endpoints keeps the key's user out. It needs the roles System Manager"
    " and Moderator."
)
NO_METHOD = (
    "The LMS lacks the custom payment confirmation method. Install it, or set FRAPPE_DRIVER=rest."
)
COOKIE = "The LMS asks for a CSRF token, so something on the way adds a login cookie."
MAINTENANCE = "The LMS is in maintenance."
READ_ONLY = "The LMS is in maintenance: it can be read, and takes no change."
TORN = "The answer carries an error and a result at once."

# What gateways write beside their data or message, and Frappe never does.
OF_GATEWAYS = {"code", "error", "path", "status", "statusCode", "timestamp", "title"}
GOOD = {200, 201, 202}
RESULT = "result"  # of the customer's own method, which names no exc_type
MISSING_METHOD = Rule(
    {417}, LmsMisconfigured, text="Failed to get method for command", reason=NO_METHOD
)
# The first rule that fits holds.
RULES = (
    Rule(range(200, 300), LmsUnreadable, reason=TORN),
    Rule({400}, LmsMisconfigured, "CSRFTokenError", reason=COOKIE),
    Rule({401}, LmsMisconfigured, reason=BAD_KEY),
    Rule({403}, LmsMisconfigured, text="^Access not allowed for this URL", reason=BLOCKED),
    Rule({403}, LmsMisconfigured, reason=NO_RIGHT),
    Rule({404}, LmsNotFound, "DoesNotExistError"),
    Rule({409}, LmsDuplicate),
    MISSING_METHOD,
    # The limit on new users names no time, and counts those of the last hour.
    Rule({417}, LmsNoNewUsers, "ValidationError", text=r"^\s*Throttled\b", wait=LONGEST_WAIT),
    Rule({417}, LmsBrokenLink, "LinkValidationError"),
    Rule({417}, LmsDuplicate, "UniqueValidationError"),
    Rule({417}, LmsContended, "TimestampMismatchError"),
    Rule({429}, LmsThrottled),
    Rule({503}, LmsMaintenance, "SessionStopped", reason=MAINTENANCE),
    Rule({503}, LmsMaintenance, "InReadOnlyMode", reason=READ_ONLY),
    Rule(range(400, 500), LmsRefused),
    Rule(range(500, 600), LmsUnavailable),
    *rows_in_front("FRAPPE_LMS_BASE_URL"),
)


def value(answer: Answer, key: str) -> Any:
    """Return what a good answer has under `key`, data or message; raise what a bad one means."""
    payload = answer.json()
    good = answer.status in GOOD and isinstance(payload, dict) and key in payload
    if good and (_is_a_gateways(payload, key) or only_names(answer.status, payload)):
        raise judge(RULES, answer, shape=FOREIGN, text="")
    if not good or "exc_type" in payload or "exc" in payload:
        raise meaning(answer, is_method=key == "message")
    return payload[key]


def _is_a_gateways(payload: dict[str, Any], key: str) -> bool:
    """Return whether a gateway speaks of success; a method's own object may stand beside more."""
    is_own = key == "message" and isinstance(payload[key], dict | list)
    return not is_own and bool(payload.keys() & OF_GATEWAYS)


def meaning(answer: Answer, *, is_method: bool = True) -> LmsError:
    """Return the error that an answer other than a good one stands for.

    `is_method`: a method was called, and not a document asked for, which none answers.
    """
    payload = answer.json()
    document = payload if isinstance(payload, dict) else {}
    shape = shape_of(document, status=answer.status)
    shape = FOREIGN if shape == RESULT and not is_method else shape
    return judge(RULES, answer, shape=shape, text=message_text(document))


def shape_of(document: dict[str, Any], *, status: int) -> str:
    """Return Frappe's `exc_type`, which each of its errors has, RESULT, or FOREIGN."""
    exc_type = document.get("exc_type") or ("exc" if "exc" in document else "")
    if exc_type:
        return str(exc_type)[:MAX_TEXT]
    # Gateways speak of success as well, at statuses that the method does not use.
    is_gateways = "success" in document and (status not in (200, 400) or "errors" in document)
    return RESULT if "success" in result_of(document) and not is_gateways else FOREIGN


def result_of(document: dict[str, Any]) -> dict[str, Any]:
    """Return the custom method's own object, in `message` or, behind some proxies, bare."""
    wrapped = document.get("message")
    return wrapped if isinstance(wrapped, dict) else document


def is_intercepted(answer: Answer) -> bool:
    """Return whether an answer to a call of a method is not Frappe's."""
    payload = answer.json()
    is_good = answer.status == 200 and isinstance(payload, dict) and "message" in payload
    return not is_good and isinstance(meaning(answer), LmsIntercepted)


def lacks_method(answer: Answer) -> bool:
    """Return whether Frappe says that it has no such method: by 417, not by 404."""
    payload = answer.json()
    return isinstance(payload, dict) and MISSING_METHOD.fits(
        answer.status, shape_of(payload, status=answer.status), message_text(payload)
    )


def message_text(document: dict[str, Any]) -> str:
    """Return the text of an error: `_server_messages` is a JSON list of JSON strings with HTML."""
    texts = [_one_message(item) for item in _list_in(document.get("_server_messages"))]
    if not texts and document.get("_error_message"):
        texts = [str(document["_error_message"])]
    return plain(" ".join(texts) or result_of(document).get("error") or "")


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
