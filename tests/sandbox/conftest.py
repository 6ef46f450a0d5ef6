"""One sandbox process for the folder, an empty book for each test, and a webhook endpoint."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, get_args, get_origin

import pytest
import requests
import stripe

from tests.sandbox_client import LMS_KEY, STRIPE_KEY, Sandbox

AUTH = {"Authorization": f"token {LMS_KEY}"}


class Endpoint(ThreadingHTTPServer):
    """A webhook endpoint that keeps what it got and answers as set."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.lock = threading.Lock()
        self.clear()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def clear(self) -> None:
        self.received: list[tuple[str, bytes]] = []
        self.statuses: list[int] = []
        self.pause = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"

    @property
    def types(self) -> list[str]:
        return [json.loads(body)["type"] for _, body in self.received]

    def objects(self, kind: str) -> list[dict[str, Any]]:
        """What the events of one type were about, in the order they came."""
        events = [json.loads(body) for _, body in self.received]
        return [event["data"]["object"] for event in events if event["type"] == kind]

    @property
    def ids(self) -> list[str]:
        return [json.loads(body)["id"] for _, body in self.received]

    def handle_error(self, request: object, client_address: object) -> None:
        """A sender that hung up is what some tests are about."""


class _Receiver(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.server.pause)
        with self.server.lock:
            self.server.received.append((self.headers["Stripe-Signature"], body))
            status = self.server.statuses.pop(0) if self.server.statuses else 200
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


class Lms:
    """The LMS as a client meets it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.session = requests.Session()

    def __call__(
        self, method: str, path: str, *, auth: str | None = AUTH["Authorization"], **options: Any
    ) -> requests.Response:
        headers = {
            **({} if auth is None else {"Authorization": auth}),
            **options.pop("headers", {}),
        }
        self.session.cookies.clear()
        return self.session.request(
            method, self.sandbox.lms_url + path, headers=headers, timeout=30, **options
        )

    def enroll(
        self, member: str = "lea@x.test", course: str = "free-course", **options: Any
    ) -> requests.Response:
        return self(
            "POST",
            "/api/resource/LMS%20Enrollment",
            json={"member": member, "course": course},
            **options,
        )

    def rows(self, member: str = "lea@x.test", course: str = "free-course") -> list[dict[str, Any]]:
        return self.sandbox.enrollments(member, course)


def message(response: requests.Response) -> str:
    """Return the text in _server_messages, which is JSON in JSON."""
    return str(json.loads(json.loads(response.json()["_server_messages"])[0])["message"])


def always_sent(kind: type[stripe.StripeObject]) -> set[str]:
    """Return the fields of an object that are never null, by the types of Stripe's SDK."""
    hints = vars(kind)["__annotations__"].items()
    return {
        name
        for name, hint in hints
        if get_origin(hint) is not ClassVar and type(None) not in get_args(hint)
    }


@pytest.fixture(scope="package")
def running() -> Iterator[Sandbox]:
    with Sandbox(
        async_delay=0.2, webhook_retry_base=0.1, webhook_timeout=2, lms_hang_seconds=0.3
    ) as sandbox:
        yield sandbox


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    server = Endpoint()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def sandbox(running: Sandbox, endpoint: Endpoint) -> Sandbox:
    running.reset()
    running.webhooks(url=endpoint.url)
    return running


@pytest.fixture
def lms(sandbox: Sandbox) -> Iterator[Lms]:
    sandbox.lms(
        courses=[
            {"name": "free-course", "title": "Free Course"},
            {"name": "hidden-course", "title": "Hidden", "published": 0},
            {"name": "paid-course", "title": "Paid", "paid_course": 1, "course_price": 49},
            {"name": "guided-course", "title": "Guided", "disable_self_learning": 1},
        ],
        users=[{"email": "lea@x.test", "first_name": "Learner10", "username": "learner10"}],
    )
    client = Lms(sandbox)
    yield client
    client.session.close()


@pytest.fixture(scope="package")
def transport() -> Iterator[stripe.RequestsClient]:
    client = stripe.RequestsClient(timeout=(3, 20))
    yield client
    client.close()


@pytest.fixture
def client(sandbox: Sandbox, transport: stripe.RequestsClient) -> stripe.StripeClient:
    return stripe.StripeClient(
        STRIPE_KEY,
        base_addresses={"api": sandbox.stripe_url},
        http_client=transport,
        max_network_retries=0,
    )


@pytest.fixture
def order() -> dict[str, Any]:
    """The parameters of a session as the shop sends them."""
    return {
        "mode": "payment",
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": "usd",
                    "unit_amount": 4900,
                    "product_data": {"name": "Data Analysis"},
                },
            }
        ],
        "success_url": "https://shop.example/enrollments/t/?session_id={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://shop.example/checkout/cancelled/t/",
        "customer_email": "lea@x.test",
        "client_reference_id": "enrollment-1",
        "metadata": {"enrollment": "1"},
        "expires_at": int(time.time()) + 36 * 60,
        "adaptive_pricing": {"enabled": False},
    }


@pytest.fixture
def payment(
    sandbox: Sandbox, client: stripe.StripeClient, order: dict[str, Any], endpoint: Endpoint
) -> str:
    """A payment intent of 49.00 USD, paid by card, whose events have been delivered and dropped."""
    session = client.v1.checkout.sessions.create(order)
    intent = sandbox.pay(session.id, wait=5)["session"]["payment_intent"]
    endpoint.clear()
    return str(intent)
