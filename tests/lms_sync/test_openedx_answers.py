"""The table of Open edX's answers: what each status and shape means, and that a page of something
in front of it is never about a learner.
"""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict

from lms_sync.errors import (
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
from lms_sync.platforms.client import Answer
from lms_sync.platforms.openedx_answers import document, meaning, rows
from sandbox import proxy_pages
from sandbox.proxy_pages import PAGES
from sandbox.wire import Response

pytestmark = pytest.mark.no_database

PAGE = b"<!doctype html><html><body><h1>Blocked</h1></body></html>"
FULL = "An error occurred while creating the new course enrollment for user 'a' in course 'b'"
MODE = "The [x] course mode is expired or otherwise unavailable for course run [b]."


def answer(status: int, body: Any, **headers: str) -> Answer:
    """Return an answer; an empty one has no content type, as Open edX's have none."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = {"Content-Type": "text/html" if body == PAGE else "application/json"} if content else {}
    return Answer(status, CaseInsensitiveDict({**kind, **headers}), content)


TABLE = [
    (401, {"detail": "Invalid token."}, LmsMisconfigured),
    (403, {"detail": "You do not have permission to perform this action."}, LmsMisconfigured),
    (403, {"developer_message": "no"}, LmsMisconfigured),
    (403, {"message": "no", "localizedMessage": "no"}, LmsRefused),
    (403, {"message": "Not from here.", "user_message_url": "https://x"}, LmsRefused),
    (403, {"message": "Forbidden"}, LmsIntercepted),
    (404, {"message": "no Route matched with those values"}, LmsIntercepted),
    (406, {"message": "Not acceptable"}, LmsIntercepted),
    (409, {"message": "Conflict"}, LmsIntercepted),
    (400, {"message": "Bad request", "status": 400}, LmsIntercepted),
    (404, b"", LmsMisconfigured),
    *((status, b"", LmsIntercepted) for status in (400, 401, 403, 406, 409, 422)),
    (404, {"detail": "Not found."}, LmsNotFound),
    (404, {"message": "An enrollment allowed with email a doesn't exists."}, LmsNotFound),
    (404, {"error_code": "no_certificate_for_user"}, LmsNotFound),
    (404, {"error_msg": "This email is associated to a retired account."}, LmsRefused),
    (404, {"developer_message": "Course not found."}, LmsCourseUnknown),
    (405, {"detail": 'Method "PUT" not allowed.'}, LmsMisconfigured),
    (406, {"detail": "Could not satisfy the request Accept header."}, LmsMisconfigured),
    (406, {"message": "The user a does not exist."}, LmsContended),
    (408, {"detail": "too late"}, LmsUnavailable),
    (
        409,
        {"message": "An enrollment allowed with email a already exists."},
        LmsDuplicate,
    ),
    (415, {"detail": "Unsupported media type"}, LmsMisconfigured),
    (400, {"message": "No course 'b' found for enrollment"}, LmsCourseUnknown),
    (400, {"message": "No course found for course ID 'b'"}, LmsCourseUnknown),
    (400, {"message": MODE, "course_details": {"course_modes": [{"slug": "audit"}]}}, LmsRefused),
    (400, {"message": FULL}, LmsRefused),
    (400, {"field_errors": {"course_id": {"developer_message": "no"}}}, LmsRefused),
    (400, {"courses": ["no"]}, LmsRefused),
    # JSON of gateways: theirs, not Open edX's, which refuses by 400, 403 and 404 alone.
    (418, {"field": ["no"]}, LmsIntercepted),
    (413, {"message": "Request Too Long"}, LmsIntercepted),
    (414, {"detail": "no"}, LmsIntercepted),
    (422, {"errors": ["no"]}, LmsIntercepted),
    (431, {"field_errors": {}}, LmsIntercepted),
    (400, {"message": "Bad Request"}, LmsIntercepted),
    (400, {"errors": [{"detail": "no"}]}, LmsIntercepted),
    (400, [], LmsIntercepted),
    (400, ["no"], LmsIntercepted),
    (400, {}, LmsIntercepted),
    (403, {}, LmsIntercepted),
    (417, {}, LmsIntercepted),
    (400, {"code": 400, "msg": "bad"}, LmsIntercepted),
    (400, {"error": "Bad Request", "status": 400}, LmsIntercepted),
    (401, {"code": 401}, LmsIntercepted),
    (403, {"type": "about:blank", "title": "no", "detail": "no"}, LmsIntercepted),
    (404, {"error": "Not Found", "path": "/api/enrollment/v1/enrollment"}, LmsIntercepted),
    (404, {"detail": "Not found.", "status": 404, "title": "Not Found"}, LmsIntercepted),
    (418, {"anything": 1}, LmsIntercepted),
    (422, {"error": "unprocessable"}, LmsIntercepted),
    (429, {"fault": {"faultstring": "too many"}}, LmsThrottled),
    (503, {"error": {"code": 503}}, LmsIntercepted),
    (504, {"message": "Endpoint request timed out"}, LmsIntercepted),
    (429, {"detail": "Expected available in 53 seconds."}, LmsThrottled),
    (429, {"developer_message": "Expected available in 53 seconds."}, LmsThrottled),
    (429, PAGE, LmsThrottled),
    (301, b"", LmsIntercepted),
    (302, PAGE, LmsIntercepted),
    (400, {"error": "unauthorized_client"}, LmsMisconfigured),
    (401, {"error": "invalid_client"}, LmsMisconfigured),
    (500, {"detail": "no"}, LmsUnavailable),
    (503, b"", LmsUnavailable),
    (200, {"message": "OK", "status": 200}, LmsIntercepted),
    (201, {"code": 201, "data": None}, LmsIntercepted),
    (202, {"message": "queued"}, LmsIntercepted),
    (241, {"detail": "no"}, LmsIntercepted),
    (200, {}, LmsIntercepted),
    (200, b"", LmsUnreadable),
    (200, [], LmsUnreadable),
    (204, b"", LmsUnreadable),
    (200, b'{"half": ', LmsIntercepted),
    (404, PAGE, LmsIntercepted),
    (500, PAGE, LmsIntercepted),
]


@pytest.mark.parametrize(("status", "body", "expected"), TABLE)
def test_each_answer_means_what_the_table_says(
    status: int, body: Any, expected: type[LmsError]
) -> None:
    with pytest.raises(LmsError) as caught:
        document(answer(status, body), "mode")
    assert type(caught.value) is expected
    assert caught.value.lms_status == status
    assert len(caught.value.explanation) < 700


def test_a_gateway_that_gave_up_waiting_does_not_say_that_nothing_was_done() -> None:
    for body in ({"message": "Endpoint request timed out"}, {"error": "timeout"}, PAGE):
        assert meaning(answer(504, body)).may_have_taken_effect
    assert not meaning(answer(500, {"detail": "no"})).may_have_taken_effect


def as_sent(page: Response) -> Answer:
    headers = {"Content-Type": page.content_type, **dict(page.headers)}
    return Answer(page.status, CaseInsensitiveDict(headers), page.body)


def test_what_is_not_open_edxs_is_nobodys_word_about_a_learner() -> None:
    """At no status: a firewall, a proxy or a captive portal may answer with any of them."""
    odd = [answer(200, body) for body in (b"x", b"null", b'"text"', b"7", b"{", b"\xff\xfe")]
    for status in range(200, 600):
        pages = [as_sent(proxy_pages.answer(name, status)) for name in PAGES]
        for each in [*pages, *(replace(one, status=status) for one in odd)]:
            error = meaning(each)
            expected = LmsThrottled if status == 429 else LmsIntercepted
            assert (type(error), error.consumes_attempt) == (expected, False), each


def test_an_empty_answer_of_something_in_front_is_not_open_edxs() -> None:
    empty = Answer(404, CaseInsensitiveDict({"Content-Type": "text/plain"}), b"")
    assert isinstance(meaning(empty), LmsIntercepted)


def test_a_list_is_a_list_of_objects_only() -> None:
    assert rows(answer(200, [{"a": 1}, 7, None])) == [{"a": 1}]
    assert isinstance(error_of_rows(b""), LmsUnreadable)
    for body in ({"a": 1}, {"message": "OK", "status": 200}, PAGE):
        assert isinstance(error_of_rows(body), LmsIntercepted)


def error_of_rows(body: Any) -> LmsError:
    with pytest.raises(LmsError) as caught:
        rows(answer(200, body))
    return caught.value


@pytest.mark.parametrize(
    ("body", "headers", "seconds"),
    [
        ({"detail": "Expected available in 53 seconds."}, {"Retry-After": "53"}, 53),
        ({"developer_message": "Expected available in 53 seconds."}, {}, 53),
        ({"detail": "Expected available in 1 second."}, {}, 1),
        ({"detail": "Expected available in 999999 seconds."}, {}, 3600),
        ({"detail": "Slow down."}, {}, 60),
        (PAGE, {}, 60),
        (PAGE, {"Retry-After": "7"}, 7),
    ],
)
def test_a_pause_is_the_headers_or_in_the_text(body: Any, headers: dict, seconds: int) -> None:
    error = meaning(answer(429, body, **headers))
    assert error.retry_after == timedelta(seconds=seconds)


def test_a_refused_mode_names_those_that_are_offered() -> None:
    details = {"course_modes": [{"slug": "audit"}, {"slug": "<b>honor</b>"}]}
    reason = meaning(answer(400, {"message": MODE, "course_details": details})).explanation
    assert reason.endswith("It offers audit, honor.")
    none = meaning(answer(400, {"message": MODE, "course_details": {"course_modes": []}}))
    assert none.explanation.endswith("It offers audit only.")
