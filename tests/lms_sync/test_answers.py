"""Every answer that contracts/frappe names means what it says there."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from lms_sync.errors import (
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
from lms_sync.platforms.answers import read_id, retry_after
from lms_sync.platforms.client import Answer
from lms_sync.platforms.frappe_answers import message_text, value

pytestmark = pytest.mark.no_database

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HTML = b"<!doctype html><html><body><h1>Internal Server Error</h1></body></html>"


def frappe_error(exc_type: str, message: str = "") -> bytes:
    """Return an error body as Frappe writes it: JSON strings in a JSON string."""
    said = json.dumps(
        [
            json.dumps(
                {"message": message, "title": "Message", "indicator": "red", "raise_exception": 1}
            )
        ]
    )
    return json.dumps(
        {"exc_type": exc_type, "exc": "[]", **({"_server_messages": said} if message else {})}
    ).encode()


def meaning_of(status: int, body: bytes = b"", **headers: str) -> LmsError:
    with pytest.raises(LmsError) as caught:
        value(Answer(status, headers, body), "data")
    return caught.value


ROWS: list[tuple[int, bytes, type[LmsError]]] = [
    (400, frappe_error("CSRFTokenError", "Invalid Request"), LmsMisconfigured),
    (400, frappe_error("ValidationError", "Unknown field"), LmsRefused),
    (401, frappe_error("AuthenticationError"), LmsMisconfigured),
    (401, HTML, LmsIntercepted),
    (403, frappe_error("PermissionError", "Not permitted"), LmsMisconfigured),
    (
        403,
        frappe_error(
            "PermissionError", "Access not allowed for this URL: /api/resource/LMS Enrollment"
        ),
        LmsMisconfigured,
    ),
    (404, frappe_error("DoesNotExistError", "User a@b.c not found"), LmsNotFound),
    (404, b'{"exc_type":"DoesNotExistError"}', LmsNotFound),
    (404, b"<p>nosuch.example does not exist</p>", LmsIntercepted),
    (405, HTML, LmsIntercepted),
    (
        409,
        frappe_error("DuplicateEntryError", "User <strong>x</strong> already exists"),
        LmsDuplicate,
    ),
    (410, HTML, LmsIntercepted),
    (413, HTML, LmsIntercepted),
    (408, HTML, LmsIntercepted),
    (
        417,
        frappe_error(
            "ValidationError", "Failed to get method for command x with No module named 'x'"
        ),
        LmsMisconfigured,
    ),
    (417, frappe_error("ValidationError", "Throttled"), LmsNoNewUsers),
    (417, frappe_error("LinkValidationError", "Could not find Course: X"), LmsBrokenLink),
    (417, frappe_error("LinkValidationError", "Could not find Payment: X"), LmsBrokenLink),
    (417, frappe_error("UniqueValidationError", "Username must be unique"), LmsDuplicate),
    (417, frappe_error("TimestampMismatchError"), LmsContended),
    (417, frappe_error("MandatoryError", "Error: Value missing for: Course"), LmsRefused),
    (
        417,
        frappe_error("InvalidEmailAddressError", "notanemail is not a valid Email Address"),
        LmsRefused,
    ),
    (417, frappe_error("CharacterLengthExceededError"), LmsRefused),
    (
        417,
        frappe_error("ValidationError", "Student is already enrolled in this course."),
        LmsRefused,
    ),
    (
        417,
        frappe_error("ValidationError", "You cannot enroll in an unpublished course."),
        LmsRefused,
    ),
    (
        417,
        frappe_error(
            "ValidationError", "You need to complete the payment for this course before enrolling."
        ),
        LmsRefused,
    ),
    (417, frappe_error("LinkExistsError"), LmsRefused),
    (417, frappe_error("DataError", "Field not permitted in query: x"), LmsRefused),
    (417, b"", LmsIntercepted),
    (429, frappe_error("TooManyRequestsError"), LmsThrottled),
    (429, frappe_error("RateLimitExceededError", "You hit the rate limit"), LmsThrottled),
    (429, b"Too Many Requests", LmsThrottled),
    (500, frappe_error("AttributeError"), LmsUnavailable),
    (500, frappe_error("JSONDecodeError"), LmsUnavailable),
    (500, frappe_error("QueryDeadlockError"), LmsUnavailable),
    (500, frappe_error("QueryTimeoutError"), LmsUnavailable),
    (500, frappe_error("OperationalError"), LmsUnavailable),
    (500, HTML, LmsIntercepted),
    (502, HTML, LmsIntercepted),
    (503, frappe_error("SessionStopped", "Session Stopped"), LmsMaintenance),
    (503, frappe_error("InReadOnlyMode"), LmsMaintenance),
    (504, HTML, LmsIntercepted),
    (302, b"", LmsIntercepted),
    (200, b"", LmsIntercepted),
    (200, HTML, LmsIntercepted),
    (200, b'{"message": 1}', LmsIntercepted),
    (200, b'{"data": {"name": "x"}, "exc": "[]"}', LmsUnreadable),
    (200, b'{"data": {"name": "x"}, "exc_type": "ValidationError"}', LmsUnreadable),
    (204, b"", LmsIntercepted),
    (200, b'[{"data": 1}]', LmsIntercepted),
    (200, b'{"data": {"name": ', LmsIntercepted),
    # What the customer's method says, where it was not asked: a gateway speaks.
    (400, b'{"message": {"success": false, "error": "Unknown field"}}', LmsIntercepted),
    (400, b'{"success": false, "error": "Unknown field"}', LmsIntercepted),
    # JSON of gateways: theirs, not Frappe's.
    (403, b'{"message": "Forbidden"}', LmsIntercepted),
    (404, b'{"message": "no Route matched with those values"}', LmsIntercepted),
    (422, b'{"error": "unprocessable", "code": 422}', LmsIntercepted),
    (404, b'{"success": false, "errors": [{"code": 7003}]}', LmsIntercepted),
    (503, b'{"success": false, "error": "try later"}', LmsIntercepted),
    (404, b'{"type": "about:blank", "title": "Not Found", "status": 404}', LmsIntercepted),
    (999, HTML, LmsIntercepted),
]


@pytest.mark.parametrize(("status", "body", "expected"), ROWS)
def test_an_answer_means_what_the_contract_says(
    status: int, body: bytes, expected: type[LmsError]
) -> None:
    error = meaning_of(status, body)
    assert type(error) is expected
    assert error.lms_status == status


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"message": {"success": False, "error": "Unknown field"}}, LmsRefused),
        ({"success": False, "error": "Unknown field"}, LmsRefused),
        ({"success": False, "errors": [{"code": 1000}], "messages": []}, LmsIntercepted),
    ],
)
def test_a_customers_method_refuses_in_its_own_words(
    body: dict[str, object], expected: type[LmsError]
) -> None:
    with pytest.raises(LmsError) as caught:
        value(Answer(400, {}, json.dumps(body).encode()), "message")
    assert type(caught.value) is expected


def test_what_may_be_tried_again_and_what_uses_up_an_attempt() -> None:
    facts = {error: (error.retryable, error.consumes_attempt) for _, _, error in ROWS}
    assert facts == {
        LmsUnavailable: (True, True),
        LmsIntercepted: (True, False),
        LmsMaintenance: (True, False),
        LmsUnreadable: (True, True),
        LmsContended: (True, True),
        LmsNoNewUsers: (True, False),
        LmsThrottled: (True, False),
        LmsMisconfigured: (True, False),
        LmsRefused: (False, True),
        LmsNotFound: (False, True),
        LmsDuplicate: (False, True),
        LmsBrokenLink: (False, True),
    }


@pytest.mark.parametrize("status", [200, 202])
def test_a_good_answer_gives_its_value(status: int) -> None:
    assert value(Answer(status, {}, b'{"data": "ok"}'), "data") == "ok"


def test_the_text_of_the_lms_is_decoded_twice_and_loses_its_markup() -> None:
    body = json.loads(
        frappe_error("ValidationError", "Row <strong>#1</strong>:\n <details>no\x00pe</details>")
    )
    assert message_text(body) == "Row #1: nope"


@pytest.mark.parametrize(
    "messages",
    [
        None,
        7,
        "",
        "not json",
        "{}",
        "[1, null]",
        '["{]"]',
        '[["x"]]',
        "[" * 50_000,
        ["plain"],
        '[{"message": null}]',
    ],
)
def test_messages_in_no_known_shape_do_no_harm(messages: Any) -> None:
    assert isinstance(message_text({"_server_messages": messages}), str)


def test_the_text_never_contains_more_than_a_paragraph() -> None:
    assert len(meaning_of(417, frappe_error("ValidationError", "x" * 10_000)).explanation) < 700


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 1),
        ("1", 1),
        ("5", 5),
        ("1603", 1603),
        ("3600", 3600),
        ("3601", 3600),
        ("1000000000", 3600),
        ("9" * 400, 3600),
        ("-5", 1),
        ("-1000000000", 1),
        ("", 60),
        ("soon", 60),
        ("1.5", 60),
        ("٣", 3),
        ("nan", 60),
        ("9" * 5000, 60),
        (format_datetime(NOW + timedelta(minutes=10), usegmt=True), 600),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 1),
        (format_datetime(NOW + timedelta(days=400), usegmt=True), 3600),
        ("Fri, 20 Nov 2026 12:10:00", 600),
        ("Fri, 99 Nov 2026 12:10:00 GMT", 60),
        ("Fri, 20 Nov 99999 12:00:00 GMT", 60),
    ],
)
def test_a_pause_is_honored_between_a_second_and_an_hour(header: str, seconds: int) -> None:
    assert LmsThrottled(retry_after=retry_after(header, NOW)).retry_after == timedelta(
        seconds=seconds
    )


def test_the_pause_of_a_429_is_its_header_and_of_the_user_limit_an_hour() -> None:
    assert meaning_of(429, b"", **{"Retry-After": "17"}).retry_after == timedelta(seconds=17)
    assert meaning_of(429, b"").retry_after == timedelta(minutes=1)
    assert meaning_of(417, frappe_error("ValidationError", "Throttled")).retry_after == timedelta(
        hours=1
    )


@pytest.mark.parametrize("candidate", [None, "", 7, True, [], {}, "x" * 141, "a\nb", "a\x00"])
def test_only_a_plain_id_counts_as_one(candidate: Any) -> None:
    with pytest.raises(LmsUnreadable):
        read_id(candidate)


def test_a_real_id_is_taken() -> None:
    assert read_id("fii123ou88") == "fii123ou88"
