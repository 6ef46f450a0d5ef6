"""While Stripe and the LMS hang, whoever needs them is refused soon, and whoever does not is served
as ever.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from django.test import Client

from enrollments.models import Enrollment
from enrollments.provisioning import LMS_JOBS
from maaledu.work.queue import drain
from payments.models import Payment
from tests.enrollments.test_provisioning import buy
from tests.factories import make_course, make_pending
from tests.processes import Proc, free_port, python
from tests.sandbox_client import Sandbox, wait_until

pytestmark = [pytest.mark.any_engine, pytest.mark.slow]
HANGS_SECONDS = 60
# No thread of the process is free so soon where all of them wait for Stripe, 4 s a call.
SOON_SECONDS = 2.5
REFUSED = (503, "CHECKOUT_UNAVAILABLE", "10", True)


class Visitor:
    """Somebody with a browser; `seconds` is how long their latest page took."""

    def __init__(self, url: str) -> None:
        self.url, self.http = url, requests.Session()

    def get(self, path: str) -> requests.Response:
        began = time.monotonic()
        answer = self.http.get(self.url + path, timeout=30)
        self.seconds = time.monotonic() - began
        return answer

    def check_out(self, slug: str, number: int) -> requests.Response:
        body = {"courseId": slug, "email": f"rush{number}@example.com", "acceptTerms": True}
        headers = {"X-CSRFToken": self.http.cookies["csrftoken"], "Referer": self.url}
        address = f"{self.url}/api/checkout"
        return self.http.post(address, json=body, headers=headers, timeout=30)


@pytest.fixture
def visitor(start: Callable[..., Proc], buyer: Client) -> Visitor:
    port = free_port()
    command = python("-m", "gunicorn", "maaledu.wsgi", "--workers", "1", "--bind")
    start([*command, f"127.0.0.1:{port}"], RATE_LIMIT_CHECKOUT="1000/1h").wait_port(port)
    return Visitor(f"http://127.0.0.1:{port}")


def hang(sandbox: Sandbox) -> None:
    for target in ("stripe", "lms"):
        sandbox.fault(target, "hang", seconds=HANGS_SECONDS)


def in_words(answer: requests.Response) -> tuple[int, str, str, bool]:
    body = answer.json()
    is_plain = "Nothing was charged" in body["error"]
    return answer.status_code, body["code"], answer.headers["Retry-After"], is_plain


def test_while_stripe_and_the_lms_hang_only_who_needs_stripe_waits(
    visitor: Visitor, buyer: Client, sandbox: Sandbox
) -> None:
    slug, owned, pending = make_course().slug, buy(buyer), make_pending()[0]
    drain(LMS_JOBS)
    assert visitor.get(f"/checkout/{slug}/").status_code == 200
    hang(sandbox)
    asked, took = len(sandbox.calls("lms")), []
    with ThreadPoolExecutor(20) as learners:
        rush = [learners.submit(visitor.check_out, slug, number) for number in range(16)]
        look = learners.submit(requests.get, visitor.url + pending.get_absolute_url(), timeout=30)
        # By now the first ones wait for Stripe, and others are refused.
        wait_until(lambda: sum(each.done() for each in rush) >= len(rush) // 2, 30)
        for path in ["/", "/health/live", f"{owned.get_absolute_url()}progress/"] * 5:
            assert visitor.get(path).ok
            took.append(visitor.seconds)
        assert {in_words(refused.result()) for refused in rush} == {REFUSED}
        assert look.result().status_code == 200
    assert max(took) < SOON_SECONDS
    assert len(sandbox.calls("lms")) == asked
    rushed = [each for each in Enrollment.objects.all() if each.email.startswith("rush")]
    assert {each.status for each in rushed} == {Enrollment.FAILED}
    waiting = Payment.objects.filter(status=Payment.PENDING)
    assert set(waiting.values_list("enrollment_id", flat=True)) <= {pending.pk}
