"""What an answer of Open edX means: its table, decided on status and shape, then on the text.

Its errors have one of five shapes, and its views do not translate their texts. An empty body
without a content type is Open edX's own as well, where it has nothing to show.
Source: contracts/openedx, sections 1, 4 and 10, and the table of its part 3.
"""

import re
from typing import Any

from lms_sync.errors import (
    FOREIGN,
    LmsContended,
    LmsCourseUnknown,
    LmsDuplicate,
    LmsError,
    LmsIntercepted,
    LmsMisconfigured,
    LmsNotFound,
    LmsRefused,
    LmsThrottled,
    LmsUnavailable,
    LmsUnreadable,
)
from lms_sync.platforms.answers import Rule, judge, only_names, plain, rows_in_front
from lms_sync.platforms.client import Answer

EMPTY, LIST, OBJECT = "empty", "list", "object"
MESSAGE, DETAIL, DEVELOPER, RETIRED = "message", "detail", "developer_message", "error_msg"
EMPTY_AT = {200, 204, 404, *range(500, 600)}  # nothing to show, or broken: never a refusal
# The first of these that an object has is its shape.
KEYS = (MESSAGE, DETAIL, DEVELOPER, "field_errors", RETIRED, "error_code", "error")
FIELDS = "fields"  # what is wrong with each field, as a list of sentences
# Gateways use these words as well: with other keys beside them, it is their object.
ALONE_OR_WITH = {
    MESSAGE: {MESSAGE, "course_details"},
    DETAIL: {DETAIL, DEVELOPER, "user_message", "error_code"},
    "error": {"error", "error_description"},
}
# From this status on Open edX writes no such object; and an error only from 400 on.
NEVER_FROM = {LIST: 400, OBJECT: 400, "error": 402, MESSAGE: 500}
REASONED = "reasoned"  # a message of a plug-in or an embargo, which comes with one of these
MOST_MODES_NAMED = 10

ANOTHER = "It answers with something else than was asked for."
REDIRECT = "It redirects. Set OPENEDX_BASE_URL to where that leads."
REFUSED_AGAIN = "It refuses a token that it has just given."
NO_RIGHT = (
    "The user of the OAuth application may not do this: it has to be staff (Django admin, Users,"
    " Staff status)."
)
WRONG_CALL = "It does not know this call. Check OPENEDX_BASE_URL and Open edX's version."
BAD_APPLICATION = (
    "Open edX does not accept the OAuth application. Check OPENEDX_CLIENT_ID and"
    " OPENEDX_CLIENT_SECRET; it has to be confidential, with the grant type client credentials."
)

# The first rule that fits holds.
RULES = (
    Rule(range(200, 300), LmsUnreadable, reason=ANOTHER),
    Rule(range(300, 400), LmsIntercepted, reason=REDIRECT),
    Rule({400, 401}, LmsMisconfigured, "error", reason=BAD_APPLICATION),
    Rule({400}, LmsCourseUnknown, MESSAGE, text=r"^No course (found|')"),
    Rule({401}, LmsMisconfigured, reason=REFUSED_AGAIN),
    Rule({403}, LmsRefused, REASONED),
    Rule({403}, LmsIntercepted, MESSAGE),
    Rule({403}, LmsMisconfigured, reason=NO_RIGHT),
    Rule({404}, LmsMisconfigured, EMPTY, reason=NO_RIGHT),
    Rule({404}, LmsCourseUnknown, DEVELOPER, text=r"^Course not found"),
    Rule({404}, LmsRefused, RETIRED),
    Rule({404}, LmsNotFound, DETAIL, text=r"^Not found"),
    Rule({404}, LmsNotFound, "error_code"),
    Rule({404}, LmsNotFound, MESSAGE, text=r"^An enrollment allowed"),
    Rule({404, 410}, LmsIntercepted, MESSAGE),
    Rule({406}, LmsContended, MESSAGE, text=r"^The user "),
    Rule({406}, LmsIntercepted, MESSAGE),
    Rule({405, 406, 415}, LmsMisconfigured, reason=WRONG_CALL),
    Rule({408}, LmsUnavailable),
    Rule({409}, LmsDuplicate, MESSAGE, text=r"^An enrollment allowed"),
    Rule({429}, LmsThrottled),
    # It refuses learners by these alone: gateways speak its JSON at any other.
    Rule({400, 404}, LmsRefused),
    Rule(range(400, 500), LmsIntercepted),
    Rule(range(500, 600), LmsUnavailable),
    *rows_in_front("OPENEDX_BASE_URL"),
)
MODE_MISMATCH = "Enrollment mode mismatch"
NO_MODE = re.compile(r"The \[.*\] course mode is expired or otherwise unavailable")
CLOSED = "An error occurred while creating the new course enrollment"


def shape_of(answer: Answer) -> str:
    """Return which of Open edX's shapes an answer has; FOREIGN where it has none."""
    if not answer.body:
        is_own = answer.status in EMPTY_AT and not answer.headers.get("Content-Type")
        return EMPTY if is_own else FOREIGN
    payload = answer.json()
    if not isinstance(payload, dict | list):
        return FOREIGN
    shape = _shape_of_object(payload) if isinstance(payload, dict) else LIST
    own = range(400 if shape in KEYS else 200, NEVER_FROM.get(shape, 600))
    is_own = answer.status in own and not only_names(answer.status, payload)
    return shape if is_own else FOREIGN


def _shape_of_object(payload: dict[str, Any]) -> str:
    if payload.keys() & {"localizedMessage", "user_message_url"}:
        return REASONED
    shape = next((key for key in KEYS if key in payload), "")
    if not shape:
        return FIELDS if payload and all(map(_is_sentences, payload.values())) else OBJECT
    return shape if payload.keys() <= ALONE_OR_WITH.get(shape, payload.keys()) else FOREIGN


def _is_sentences(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def document(answer: Answer, key: str) -> dict[str, Any]:
    """Return the object of a good answer; raise what another one means.

    One without `key`, which Open edX's own has there, was written by something in front of it.
    """
    payload = answer.json()
    if answer.status not in (200, 201) or not isinstance(payload, dict):
        raise meaning(answer)
    if key not in payload:
        raise judge(RULES, answer, shape=FOREIGN, text="")
    return payload


def rows(answer: Answer) -> list[dict[str, Any]]:
    """Return the list of a good answer; raise what another one means."""
    payload = answer.json()
    if answer.status == 200 and isinstance(payload, dict):
        raise judge(RULES, answer, shape=FOREIGN, text="")
    if answer.status != 200 or not isinstance(payload, list):
        raise meaning(answer)
    return [row for row in payload if isinstance(row, dict)]


def meaning(answer: Answer) -> LmsError:
    """Return the error that an answer other than the one awaited stands for."""
    payload = answer.json()
    text = text_of(payload)
    if NO_MODE.match(text):
        text = f"{text} {modes_offered(payload.get('course_details'))}"
    return judge(RULES, answer, shape=shape_of(answer), text=text)


def text_of(payload: Any) -> str:
    """Return the sentence of an error as plain text."""
    if not isinstance(payload, dict):
        return ""
    return plain(next((payload[key] for key in KEYS if payload.get(key)), ""))


def modes_of(details: Any) -> list[str]:
    """Return the slugs of the modes in what the enrollment views show of a course."""
    modes = details.get("course_modes") if isinstance(details, dict) else None
    return [plain(mode.get("slug", "")) for mode in modes or [] if isinstance(mode, dict)]


def modes_offered(details: Any) -> str:
    offered = modes_of(details)[:MOST_MODES_NAMED]
    return f"It offers {', '.join(offered)}." if offered else "It offers audit only."
