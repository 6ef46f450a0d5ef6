"""The table of Frappe's answers through a live server: every row, every page at every status."""

import json
from datetime import timedelta

import pytest

from lms_sync.connection import frappe_client
from lms_sync.errors import (
    FOREIGN,
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
)
from lms_sync.platforms.client import Answer
from lms_sync.platforms.frappe_answers import RULES, value
from sandbox.proxy_pages import PAGES, answer
from tests.sandbox_client import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
LIST = "/api/resource/LMS%20Enrollment"
NO_METHOD = "Failed to get method for command lms.x with No module named 'lms.x'"
BLOCKED_URL = "Access not allowed for this URL"
# Status, exc_type and text as Frappe sends them, what they mean, and a word for staff.
OWN: list[tuple[int, str, str, type[LmsError], str]] = [
    (400, "CSRFTokenError", "Invalid Request", LmsMisconfigured, "CSRF"),
    (400, "ValidationError", "Unknown field: x", LmsRefused, "Unknown field"),
    (401, "AuthenticationError", "", LmsMisconfigured, "FRAPPE_LMS_API_KEY"),
    (403, "PermissionError", "Not permitted", LmsMisconfigured, "System Manager and Moderator"),
    (403, "PermissionError", BLOCKED_URL, LmsMisconfigured, "block_endpoints"),
    (404, "DoesNotExistError", "", LmsNotFound, "DoesNotExistError"),
    (409, "DuplicateEntryError", "User <strong>x</strong> exists", LmsDuplicate, "User x exists"),
    (417, "ValidationError", NO_METHOD, LmsMisconfigured, "FRAPPE_DRIVER=rest"),
    (417, "ValidationError", "Throttled", LmsNoNewUsers, "Throttled"),
    (417, "LinkValidationError", "Could not find Course: X", LmsBrokenLink, "Could not find"),
    (417, "UniqueValidationError", "Username must be unique", LmsDuplicate, "unique"),
    (417, "TimestampMismatchError", "modified since", LmsContended, "modified"),
    (417, "MandatoryError", "Value missing", LmsRefused, "Value missing"),
    (417, "InvalidEmailAddressError", "not a valid Email Address", LmsRefused, "not a valid"),
    (417, "CharacterLengthExceededError", "too long", LmsRefused, "too long"),
    (429, "TooManyRequestsError", "", LmsThrottled, "TooManyRequestsError"),
    (500, "QueryDeadlockError", "(1213, 'Deadlock')", LmsUnavailable, "Deadlock"),
    (500, "OperationalError", "", LmsUnavailable, "OperationalError"),
    (503, "SessionStopped", "", LmsMaintenance, "maintenance"),
    (503, "InReadOnlyMode", "", LmsMaintenance, "takes no change"),
    (503, "ValidationError", "", LmsUnavailable, "ValidationError"),
]


def error_of(sandbox: Sandbox, mode: str, **fault: object) -> LmsError:
    sandbox.fault("lms", mode, "GET /api/resource/LMS Enrollment", times=1, **fault)
    with pytest.raises(LmsError) as caught:
        value(frappe_client(timedelta(seconds=10)).call("GET", LIST), "data")
    return caught.value


def test_every_answer_of_frappes_own_means_what_the_table_says(sandbox: Sandbox) -> None:
    for status, exc_type, text, expected, words in OWN:
        error = error_of(sandbox, "error", status=status, exc_type=exc_type, text=text)
        assert type(error) is expected, (status, exc_type)
        assert (error.lms_status, words in error.reason) == (status, True), error.reason


def test_what_answers_in_front_is_named_by_its_status_server_and_title(sandbox: Sandbox) -> None:
    error = error_of(sandbox, "page", status=403, page="challenge")
    assert isinstance(error, LmsIntercepted)
    assert error.explanation == (
        "Something in front of the learning platform answers in its place. A firewall or a"
        " challenge page refuses. Let our calls pass it. (HTTP 403 from edge “One moment…”)"
    )


def test_a_limit_in_front_of_the_lms_is_kept_to_as_the_lmss_own_is(sandbox: Sandbox) -> None:
    error = error_of(sandbox, "429", retry_after=17)
    assert isinstance(error, LmsThrottled)
    assert (error.retry_after or error).total_seconds() == 17
    assert isinstance(error_of(sandbox, "page", status=429), LmsThrottled)


@pytest.mark.parametrize("page", PAGES)
def test_no_page_at_any_status_counts_as_the_lmss_word(page: str) -> None:
    for status in range(200, 600):
        shown = answer(page, status)
        with pytest.raises(LmsError) as caught:
            value(Answer(status, dict(shown.headers), shown.body), "data")
        expected = LmsThrottled if status == 429 else LmsIntercepted
        assert (type(caught.value), caught.value.consumes_attempt) == (expected, False), status


@pytest.mark.parametrize("key", ["data", "message"])
def test_a_gateway_that_speaks_of_success_has_done_nothing(key: str) -> None:
    for said in (None, "OK"):
        for more in ({"status": 200}, {"code": 200}, {"statusCode": 201, "timestamp": "now"}):
            body = json.dumps({key: said, **more}).encode()
            with pytest.raises(LmsIntercepted):
                value(Answer(200, {}, body), key)
    assert value(Answer(200, {}, b'{"message": {"success": true}, "status": "ok"}'), "message")
    assert value(Answer(200, {}, b'{"data": "ok", "_server_messages": "[]"}'), "data") == "ok"


def test_every_row_of_the_table_is_met_here() -> None:
    """A row that nothing reaches is not one: the first that fits holds."""
    own = [(status, exc_type, text) for status, exc_type, text, *_ in OWN]
    seen = [*own, (200, "exc", ""), *((status, FOREIGN, "") for status in range(200, 600))]
    met = {
        next(number for number, rule in enumerate(RULES) if rule.fits(status, shape, text))
        for status, shape, text in seen
    }
    assert met == set(range(len(RULES)))
