"""The fault plan: every way the LMS and Stripe fail, how often, and where."""

import contextlib
import socket
import time

import pytest
import requests
import stripe

from sandbox.faults import AFTER_WORK, NO_WORK
from tests.sandbox.conftest import AUTH, message

pytestmark = pytest.mark.no_database

ENROLL = "POST /api/resource/LMS Enrollment"


@pytest.mark.parametrize("mode", ["down", "reset", "hang"])
def test_no_answer_and_no_work(lms, sandbox, mode):
    sandbox.fault("lms", mode, ENROLL, seconds=0.3)
    with pytest.raises(requests.ConnectionError):
        lms.enroll()
    assert lms.rows() == []


@pytest.mark.parametrize("mode", ["lost_answer", "hang_after", "half_answer", "short_length"])
def test_work_is_done_and_the_answer_does_not_arrive_whole(lms, sandbox, mode):
    sandbox.fault("lms", mode, ENROLL, seconds=0.3)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        lms.enroll()
    assert len(lms.rows()) == 1


def test_hanging_is_a_time_out_for_the_client(lms, sandbox):
    sandbox.fault("lms", "hang", ENROLL, seconds=3)
    with pytest.raises(requests.ReadTimeout):
        requests.post(
            sandbox.lms_url + "/api/resource/LMS Enrollment", json={}, headers=AUTH, timeout=0.3
        )


def test_a_call_that_hangs_over_a_reset_is_not_counted_after_it(sandbox):
    sandbox.fault("lms", "hang", ENROLL, seconds=0.5)
    with pytest.raises(requests.ReadTimeout):
        requests.post(
            sandbox.lms_url + "/api/resource/LMS Enrollment", json={}, headers=AUTH, timeout=0.2
        )
    sandbox.reset()
    time.sleep(0.5)
    assert sandbox.calls("lms") == []


def test_slow_is_late_but_right(lms, sandbox):
    sandbox.fault("lms", "slow", seconds=0.4)
    answer = lms.enroll()
    assert answer.status_code == 200
    assert answer.elapsed.total_seconds() >= 0.4


def test_dripping_outlives_a_read_time_out(lms, sandbox):
    sandbox.fault("lms", "drip", "GET /api/method/ping", seconds=0.05)
    started = time.monotonic()
    answer = requests.get(sandbox.lms_url + "/api/method/ping", timeout=0.4)
    assert answer.json() == {"message": "pong"}
    assert time.monotonic() - started > 0.8


STATUSES = [
    ("401", 401, "AuthenticationError"),
    ("403", 403, "PermissionError"),
    ("404", 404, "DoesNotExistError"),
    ("409", 409, "DuplicateEntryError"),
    ("417", 417, "ValidationError"),
    ("maintenance", 503, "SessionStopped"),
    ("read_only", 503, "InReadOnlyMode"),
    ("deadlock", 500, "QueryDeadlockError"),
    ("query_timeout", 500, "QueryTimeoutError"),
    ("db_down", 500, "OperationalError"),
    ("429", 429, "RateLimitExceededError"),
]


@pytest.mark.parametrize(("mode", "status", "exc_type"), STATUSES)
def test_frappes_own_failures(lms, sandbox, mode, status, exc_type):
    sandbox.fault("lms", mode, ENROLL)
    answer = lms.enroll()
    assert (answer.status_code, answer.json()["exc_type"]) == (status, exc_type)
    assert "Retry-After" not in answer.headers
    assert lms.rows() == []


@pytest.mark.parametrize(
    ("mode", "status"),
    [("500", 500), ("502", 502), ("503", 503), ("504", 504), ("405", 405), ("410", 410)],
)
def test_html_failures(lms, sandbox, mode, status):
    sandbox.fault("lms", mode, ENROLL)
    answer = lms.enroll()
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("text/html")
    assert lms.rows() == []


def test_throttled(lms, sandbox):
    sandbox.fault("lms", "throttled", "POST /api/resource/User")
    answer = lms("POST", "/api/resource/User", json={"email": "n@x.test", "first_name": "N"})
    assert (answer.status_code, message(answer)) == (417, "Throttled")


@pytest.mark.parametrize("retry_after", [1603, "Wed, 21 Oct 2026 07:28:00 GMT", 1_000_000_000, -5])
def test_limit_of_the_site_says_when_to_come_back(lms, sandbox, retry_after):
    sandbox.fault("lms", "429", retry_after=retry_after)
    answer = lms("GET", "/api/method/ping")
    assert (answer.status_code, answer.json()["exc_type"]) == (429, "TooManyRequestsError")
    assert answer.headers["Retry-After"] == str(retry_after)
    assert answer.headers["X-RateLimit-Remaining"] == "0"
    assert "_server_messages" not in answer.json()
    text = lms("GET", "/api/method/ping", headers={"Accept": "text/html"})
    assert (text.status_code, text.text) == (429, "Too Many Requests")


def test_maintenance_stops_ping_too_and_shows_a_500_to_browsers(lms, sandbox):
    sandbox.fault("lms", "maintenance")
    answer = lms("GET", "/api/method/ping")
    assert (answer.status_code, answer.json()["exc_type"]) == (503, "SessionStopped")
    assert "Retry-After" not in answer.headers
    assert lms("GET", "/api/method/ping", headers={"Accept": "text/html"}).status_code == 500


def test_read_only_lets_reads_through(lms, sandbox):
    sandbox.fault("lms", "read_only")
    assert lms("GET", "/api/resource/LMS%20Enrollment").status_code == 200
    assert lms.enroll().status_code == 503


def test_two_hundreds_that_are_not_answers(lms, sandbox):
    sandbox.fault("lms", "html_200", times=1)
    assert "<form>" in lms.enroll().text
    sandbox.fault("lms", "empty_200", times=1)
    assert lms.enroll().content == b""
    sandbox.fault("lms", "exc_200", times=1)
    assert set(lms.enroll().json()) == {"exc_type", "exc"}
    sandbox.fault("lms", "bad_json", times=1)
    with pytest.raises(requests.JSONDecodeError):
        lms.enroll().json()
    assert lms.rows() == []


def test_a_wrong_answer_after_the_work(lms, sandbox):
    sandbox.fault("lms", "502", ENROLL, work=True)
    assert lms.enroll().status_code == 502
    assert len(lms.rows()) == 1


def test_redirects_lead_astray(lms, sandbox):
    sandbox.fault("lms", "redirect", times=1)
    answer = lms.enroll(allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (
        302,
        "http://169.254.169.254/latest/meta-data/",
    )
    sandbox.fault("lms", "redirect", location="https://elsewhere.example/")
    assert lms.enroll(allow_redirects=False).headers["Location"] == "https://elsewhere.example/"


def test_huge_bodies(lms, sandbox):
    sandbox.fault("lms", "huge", times=1)
    assert len(lms.enroll().content) > 10 * 1024 * 1024
    sandbox.fault("lms", "gzip_bomb", times=1, size=5_000_000)
    answer = lms.enroll(stream=True)
    assert int(answer.headers["Content-Length"]) < 50_000
    assert len(answer.content) == 5_000_000


def test_match_and_times_and_healing(lms, sandbox):
    fault = sandbox.fault("lms", "500", ENROLL, times=2)
    assert fault["times"] == 2
    assert lms("GET", "/api/resource/LMS%20Enrollment").status_code == 200
    assert [lms.enroll().status_code for _ in range(3)] == [500, 500, 200]
    assert sandbox.book("faults")[0]["hits"] == 2
    sandbox.fault("lms", "500", "/api/resource/LMS Enrollment/")
    assert lms.enroll().status_code == 200
    sandbox.fault("lms", "down")
    sandbox.fault("stripe", "down")
    sandbox.heal("lms")
    assert [fault["target"] for fault in sandbox.book("faults")] == ["stripe"]
    assert lms.enroll().status_code == 200


def test_newest_fault_strikes_first(lms, sandbox):
    sandbox.fault("lms", "502")
    sandbox.fault("lms", "503", times=1)
    assert [lms("GET", "/api/method/ping").status_code for _ in range(2)] == [503, 502]


def test_random_faults_are_repeatable(lms, sandbox):
    rounds = []
    for _ in range(2):
        sandbox.heal()
        sandbox.fault("lms", "random", percent=38, seed=1, modes=["500", "502", "maintenance"])
        rounds.append([lms("GET", "/api/method/ping").status_code for _ in range(200)])
    assert rounds[0] == rounds[1]
    struck = sum(status != 200 for status in rounds[0])
    assert 55 <= struck <= 97
    assert {200, 500, 502, 503} == set(rounds[0])
    sandbox.heal()
    sandbox.fault("lms", "random", percent=38, seed=2, modes=["500", "502", "maintenance"])
    assert [lms("GET", "/api/method/ping").status_code for _ in range(200)] != rounds[0]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"target": "bank", "mode": "down"}, "target must be one of"),
        ({"target": "lms", "mode": "explode"}, "mode must be one of"),
        ({"target": "smtp", "mode": "500"}, "mode must be one of"),
        ({"target": "lms", "mode": "down", "often": 1}, "unknown entries in a fault: often"),
    ],
)
def test_a_fault_that_is_none_is_refused(sandbox, spec, text):
    with pytest.raises(RuntimeError, match=text):
        sandbox.call("POST", "/control/faults", spec)
    assert sandbox.book("faults") == []


STRIPE_ERRORS = [
    ("400", stripe.InvalidRequestError, 400),
    ("401", stripe.AuthenticationError, 401),
    ("402", stripe.CardError, 402),
    ("403", stripe.PermissionError, 403),
    ("429", stripe.RateLimitError, 429),
    ("lock_timeout", stripe.RateLimitError, 429),
    ("500", stripe.APIError, 500),
    ("502", stripe.APIError, 502),
    ("503", stripe.APIError, 503),
    ("html_200", stripe.APIError, 200),
    ("bad_json", stripe.APIError, 200),
]


@pytest.mark.parametrize(("mode", "error", "status"), STRIPE_ERRORS)
def test_stripes_failures_as_the_sdk_reports_them(client, sandbox, order, mode, error, status):
    sandbox.fault("stripe", mode, "POST /v1/checkout/sessions")
    with pytest.raises(error) as caught:
        client.v1.checkout.sessions.create(order)
    assert caught.value.http_status == status
    assert sandbox.sessions() == []


@pytest.mark.parametrize("mode", ["down", "reset", "hang"])
def test_stripe_out_of_reach(client, sandbox, order, mode):
    sandbox.fault("stripe", mode, seconds=0.2)
    with pytest.raises(stripe.APIConnectionError):
        client.v1.checkout.sessions.create(order)
    assert sandbox.sessions() == []


def test_stripe_502_does_not_use_the_key_up(client, sandbox, order):
    sandbox.fault("stripe", "502", times=1)
    with pytest.raises(stripe.APIError):
        client.v1.checkout.sessions.create(order, {"idempotency_key": "k"})
    assert client.v1.checkout.sessions.create(order, {"idempotency_key": "k"}).status == "open"


def test_a_wrong_answer_after_stripes_work_is_healed_by_the_key(client, sandbox, order):
    sandbox.fault("stripe", "502", times=1, work=True)
    with pytest.raises(stripe.APIError):
        client.v1.checkout.sessions.create(order, {"idempotency_key": "k"})
    [made] = sandbox.sessions()
    assert client.v1.checkout.sessions.create(order, {"idempotency_key": "k"}).id == made["id"]


def test_every_mode_leaves_the_server_well(lms, sandbox):
    for mode in (*NO_WORK, *AFTER_WORK):
        sandbox.fault("lms", mode, "GET /api/method/ping", times=1, seconds=0.01, size=1000)
        with contextlib.suppress(requests.RequestException):
            lms("GET", "/api/method/ping", allow_redirects=False)
        assert lms("GET", "/api/resource/User/lea@x.test").status_code == 200, mode


def test_half_sent_requests_do_no_harm(sandbox):
    for sent in (
        b"",
        b"GET",
        b"GET / HTTP/1.1\r\n",
        b"POST /lms/api/x HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc",
        b"\x00\xff\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", sandbox.http_port)) as connection:
            connection.sendall(sent)
    assert requests.get(sandbox.url, timeout=5).status_code == 200


def test_chunked_bodies_and_keep_alive(lms, sandbox):
    body = iter([b'{"member": "lea@x.test", ', b'"course": "free-course"}'])
    with requests.Session() as session:
        for data in (body, b'{"member": "lea@x.test", "course": "free-course"}'):
            answer = session.post(
                sandbox.lms_url + "/api/resource/LMS Enrollment",
                data=data,
                headers={**AUTH, "Content-Type": "application/json"},
                timeout=5,
            )
            assert answer.status_code == 200
            assert answer.headers["Connection"] == "keep-alive"
    assert len(lms.rows()) == 2
