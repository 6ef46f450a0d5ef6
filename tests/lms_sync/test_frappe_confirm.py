"""The `confirm_payment` driver against the custom method, and against a stock server that lacks
it.
"""

import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pytest_django import Settings

from lms_sync.connection import platform_for
from lms_sync.errors import (
    LmsError,
    LmsIntercepted,
    LmsMisconfigured,
    LmsRefused,
    LmsUnavailable,
)
from lms_sync.platforms.base import EnrollRequest
from lms_sync.platforms.client import Client
from lms_sync.platforms.frappe_confirm import FrappeConfirm, confirmation
from lms_sync.platforms.major_units import major_units
from tests.lms_sync.rawserver import raw_server, response
from tests.sandbox_client import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
EMAIL, COURSE = "asha@example.com", "free-course"
CONFIRM = "POST /api/method/lms.lms.payment_confirmation.confirm_payment"


@pytest.fixture
def custom(sandbox: Sandbox, settings: Settings) -> Sandbox:
    sandbox.lms(server="custom")
    settings.FRAPPE_DRIVER = "confirm_payment"
    settings.LMS_TIMEOUT_WORKER = timedelta(seconds=1)
    return sandbox


def request(course: str = COURSE) -> EnrollRequest:
    return EnrollRequest(
        EMAIL,
        "Asha Rao",
        course,
        payment_id="pi_1",
        amount=24950,
        currency="USD",
        referral_code="R1",
    )


def enroll(course: str = COURSE) -> str:
    return platform_for("frappe").enroll(request(course)).enrollment_id


def refusal(course: str = COURSE) -> LmsError:
    with pytest.raises(LmsError) as caught:
        enroll(course)
    return caught.value


def rows(sandbox: Sandbox) -> list[str]:
    return [row["name"] for row in sandbox.enrollments(EMAIL)]


def test_a_new_learner_is_created_and_enrolled_through_the_method(custom: Sandbox) -> None:
    assert [enroll()] == rows(custom)
    sent = json.loads(custom.calls("lms", CONFIRM)[0]["body"])
    assert sent == {
        "user_email": EMAIL,
        "course_id": COURSE,
        "paid_status": True,
        "payment_id": "pi_1",
        "amount": 249.5,
        "currency": "usd",
        "referral_code": "R1",
    }
    assert all(call["authorization"] == "yes" for call in custom.calls("lms"))


def test_enrolling_again_makes_no_second_call(custom: Sandbox) -> None:
    assert enroll() == enroll()
    assert len(custom.calls("lms", CONFIRM)) == 1


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (24950, "usd", "249.50"),
        (1, "usd", "0.01"),
        (0, "usd", "0.00"),
        (5000, "jpy", "5000"),
        (10**15 + 1, "eur", "10000000000000.01"),
        (29, "USD", "0.29"),
        (100, "", "1.00"),
    ],
)
def test_the_amount_is_exact_in_major_units(amount: int, currency: str, text: str) -> None:
    assert major_units(amount, currency) == text
    body = confirmation(EnrollRequest(EMAIL, "", COURSE, amount=amount, currency=currency))
    assert body.endswith(f', "amount": {text}}}')
    assert json.loads(body, parse_float=str, parse_int=str)["amount"] == text


def test_only_what_is_known_is_sent() -> None:
    assert json.loads(
        confirmation(EnrollRequest(EMAIL, "Asha", COURSE, extra={"enrollment_id": "7"}))
    ) == {
        "user_email": EMAIL,
        "course_id": COURSE,
        "paid_status": True,
    }


@pytest.mark.parametrize(
    "mode", ["lost_answer", "hang_after", "half_answer", "short_length", "drip"]
)
def test_an_answer_lost_after_the_work_was_done_is_read_back(custom: Sandbox, mode: str) -> None:
    custom.fault("lms", mode, CONFIRM, times=1, seconds=1.5 if mode == "hang_after" else 0.3)
    assert [enroll()] == rows(custom)


@pytest.mark.parametrize("mode", ["500", "503", "html_200", "empty_200", "bad_json", "exc_200"])
def test_an_error_answered_after_the_work_was_done_is_read_back(custom: Sandbox, mode: str) -> None:
    custom.fault("lms", mode, CONFIRM, times=1, work=True)
    assert [enroll()] == rows(custom)


@pytest.mark.parametrize("mode", ["down", "500", "503", "empty_200", "html_200"])
def test_no_answer_and_no_row_means_unavailable(custom: Sandbox, mode: str) -> None:
    custom.fault("lms", mode, CONFIRM, times=1)
    assert isinstance(refusal(), LmsUnavailable)
    assert [enroll()] == rows(custom)


def test_success_false_is_a_refusal_with_the_methods_text(custom: Sandbox) -> None:
    error = refusal("no-such-course")
    assert type(error) is LmsRefused
    assert (error.reason, error.retryable, error.lms_status) == ("Course not found", False, 200)


def test_an_unknown_field_is_a_refusal(custom: Sandbox) -> None:
    body = json.dumps({**json.loads(confirmation(request())), "grant_id": "g1"})
    with pytest.raises(LmsRefused, match="refused") as caught:
        platform_for("frappe")._result("POST", CONFIRM.split()[1], body=body)  # type: ignore[attr-defined]
    assert caught.value.reason == "Unknown field: grant_id"


@pytest.mark.parametrize("server", ["A", "B", "C"])
def test_a_stock_server_lacks_the_method_and_that_is_a_misconfiguration(
    custom: Sandbox, server: str
) -> None:
    custom.lms(server=server)
    error = refusal()
    assert isinstance(error, LmsMisconfigured)
    assert "FRAPPE_DRIVER=rest" in error.reason
    assert rows(custom) == []
    with pytest.raises(LmsMisconfigured):
        platform_for("frappe").ping()


def test_ping_finds_the_method(custom: Sandbox) -> None:
    assert platform_for("frappe").ping() == "bot@example.com"
    assert custom.enrollments() == []


class _HalfInstalled(BaseHTTPRequestHandler):
    """An LMS whose own app is there without its payment module: all is well until that is asked
    for.
    """

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        missing = "payment_confirmation" in self.path
        said = {
            "exc_type": "ValidationError",
            "_server_messages": json.dumps(
                [json.dumps({"message": "Failed to get method for command x with y"})]
            ),
        }
        body = json.dumps(
            said
            if missing
            else {"message": "bot@example.com", "data": [], "success": True, "exists": False}
        ).encode()
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(417 if missing else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *args: object) -> None:
        pass


def test_ping_notices_that_the_payment_module_alone_is_missing() -> None:
    """Requirement R006."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _HalfInstalled) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(LmsMisconfigured, match="not set up correctly"):
            _driver(f"http://127.0.0.1:{server.server_port}").ping()
        server.shutdown()


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b'{"message":{"success":true,"enrollment_id":"e1"}}', "e1"),
        (b'{"success":true,"enrollment_id":"e1"}', "e1"),
        (b'{"message":{"success":true}}', LmsUnavailable),
        (b'{"message":{"success":true,"enrollment_id":null}}', LmsUnavailable),
        (b'{"message":{"success":false,"error":"User not found"}}', LmsRefused),
        (b'{"success":false,"error":"User not found"}', LmsRefused),
        (b'{"success":false,"errors":[{"code":1020}],"result":null}', LmsIntercepted),
        (b'{"message":{"success":false}}', LmsRefused),
        (b'{"message":{"success":false,"error":"(1213, \'Deadlock found\')"}}', LmsUnavailable),
        (b'{"success":false,"error":"(2006, \'Server has gone away\')"}', LmsUnavailable),
        (b'{"message":{}}', LmsRefused),
        (b'{"message":"ok"}', LmsUnavailable),
        (b'{"message":null}', LmsUnavailable),
        (b'{"data":{"success":true,"enrollment_id":"e1"}}', LmsUnavailable),
    ],
)
def test_every_shape_of_answer_is_understood(body: bytes, outcome: object) -> None:
    with raw_server([response(body)]) as server:
        driver = _driver(server.url)
        if isinstance(outcome, str):
            assert driver._insert(request()) == outcome
        else:
            with pytest.raises(outcome):  # type: ignore[call-overload]
                driver._insert(request())


def test_already_enrolled_is_success_once_the_row_is_seen(custom: Sandbox) -> None:
    """Somebody enrolls the learner between our look and our call, and the method says no."""
    enroll()
    driver = platform_for("frappe")
    custom.fault("lms", "417", CONFIRM)
    assert driver._create(request()) == rows(custom)[0]  # type: ignore[attr-defined]


def _driver(url: str) -> FrappeConfirm:
    return FrappeConfirm(
        Client(url, "token a:b", timeout=timedelta(seconds=2), budget=timedelta(seconds=6))
    )
