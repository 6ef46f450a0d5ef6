"""Guessing codes: fifty addresses find none, and no refusal reveals its reason.

Not by its size, its time or its statements. GUESSED_CODES=10000 guesses ten times as often.
"""

import logging
import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from statistics import median
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.core.handlers.base import BaseHandler
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils import timezone

from courses.models import Course
from enrollments.models import Enrollment
from grants import redemption
from grants.codes import new_code
from grants.models import Grant
from payments import checkout
from payments.orders import Buyer
from tests.factories import make_course
from tests.grants.make import HOLDER, make_coupon
from tests.statements import statements

ADDRESSES = 50
CODES = int(os.environ.get("GUESSED_CODES", "1000"))
PER_ADDRESS, PER_EMAIL = 5, 20  # decisions: coupon check
WINDOWS = 2  # a limit's window may end while the test runs
OF_EACH_KIND = 120
FACTOR = 1.5  # between the slowest and the fastest kind's median; 1.05 on an idle machine
WARM_UP = 5
STRANGER = "stranger@example.com"
PAUSE = re.compile(r"in (a minute|\d+ (minutes|hours))")

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Thousands of requests, each of which would leave its lines in pytest's memory."""
    logging.disable(logging.INFO)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def course(db: None) -> Course:
    return make_course()


@pytest.fixture
def ask(course: Course, settings) -> Callable[..., HttpResponse]:
    """Return a way to try a code as the page does, without what Django's test client adds.

    A forger writes addresses of his own to the left of the one that our proxy saw.
    """
    settings.TRUSTED_PROXY_COUNT = 1
    handler, requests = BaseHandler(), RequestFactory()
    handler.load_middleware()

    def ask(email: str, code: str, address: str = "203.0.113.250") -> HttpResponse:
        headers = {"X-Forwarded-For": f"8.8.8.8, {address}", "HX-Request": "true"}
        form = urlencode({"email": email, "coupon": code})
        kind = "application/x-www-form-urlencoded"
        request = requests.post(f"/checkout/{course.slug}/coupon/", form, kind, headers=headers)
        request._dont_enforce_csrf_checks = True
        return handler.get_response(request)

    return ask


# --- many codes -----------------------------------------------------------------------------------
@pytest.mark.any_engine
def test_a_thousand_codes_from_fifty_addresses_find_nothing_out(ask, course: Course) -> None:
    """Half of the guesses are for the holder, half for new e-mails with the right code."""
    grant = make_coupon(course)
    answered, for_holder, bodies = Counter(), 0, set()
    for number in range(CODES):
        address, at_holder = f"203.0.113.{number % ADDRESSES}", number // ADDRESSES % 2 == 0
        answer = (
            ask(HOLDER, new_code(), address)
            if at_holder
            else ask(f"nobody{number}@example.com", grant.code, address)
        )
        bodies.add((answer.status_code, PAUSE.sub("in a while", answer.content.decode())))
        if "Retry-After" not in answer:
            answered[address] += 1
            for_holder += at_holder
    assert len(bodies) == 2, "one refusal, and one request for patience"
    assert len(answered) == ADDRESSES
    assert max(answered.values()) <= PER_ADDRESS * WINDOWS
    assert for_holder <= PER_EMAIL * WINDOWS
    assert ask(HOLDER, grant.code, "203.0.113.1")["Retry-After"], (
        "not even the right code is confirmed"
    )
    grant.refresh_from_db()
    assert (grant.status, Enrollment.objects.count()) == ("approved", 0)


@pytest.mark.any_engine
@pytest.mark.parametrize("forged", ["8.8.8.8", "8.8.4.4, 1.1.1.1"])
def test_an_address_that_is_made_up_does_not_count_anew(ask, forged: str) -> None:
    answers = [
        ask(f"nobody{number}@example.com", new_code(), f"{forged}, 203.0.113.7")
        for number in range(PER_ADDRESS * WINDOWS + 1)
    ]
    assert "Retry-After" in answers[-1]


# --- no difference --------------------------------------------------------------------------------
def as_used(course: Course) -> Grant:
    grant = make_coupon(course, percent=100)
    checkout.start(course.slug, Buyer(HOLDER, coupon=grant.code))
    return grant


def as_expired(course: Course) -> Grant:
    grant = make_coupon(course, email="late@example.com")
    Grant.objects.filter(pk=grant.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    return grant


def as_reserved(course: Course) -> Grant:
    """Held by a checkout that is not the asker's own, as between the two looks of a race."""
    grant = make_coupon(course, email="held@example.com")
    assert redemption.reserve(
        grant, enrollment_id=uuid4(), until=timezone.now() + timedelta(minutes=36)
    )
    return grant


def kinds_of_refusal(course: Course) -> dict[str, tuple[str, str]]:
    """Return an e-mail and a code for each kind; the holder of the coupon tries the last three."""
    return {
        "unknown": (STRANGER, "MAAL-AAAA-BBBB-CCCC"),
        "foreign": (STRANGER, make_coupon(course, email="other@example.com").code),
        "used": (HOLDER, as_used(course).code),
        "reserved": ("held@example.com", as_reserved(course).code),
        "expired": ("late@example.com", as_expired(course).code),
    }


@pytest.mark.any_engine
@pytest.mark.breaks_invariants
def test_no_refusal_reveals_its_kind_by_body_statements_or_time(
    ask, course: Course, settings
) -> None:
    settings.RATE_LIMITS = {
        **settings.RATE_LIMITS,
        "coupon": "100000/1m",
        "coupon_email": "100000/1m",
    }
    kinds = kinds_of_refusal(course)
    for _ in range(WARM_UP):
        assert (
            len(
                {
                    (answer.status_code, answer.content)
                    for answer in map(ask, *zip(*kinds.values(), strict=True))
                }
            )
            == 1
        )
    cpu, wall, answers, counts = measured(ask, kinds)
    assert len(answers) == 1
    assert len(set(counts.values())) == 1, counts
    for times in (cpu, wall):
        middles = [median(times[kind]) for kind in kinds]
        assert max(middles) <= FACTOR * min(middles), dict(zip(kinds, middles, strict=True))


Times = dict[str, list[float]]


def measured(
    ask: Callable[..., HttpResponse], kinds: dict[str, tuple[str, str]]
) -> tuple[Times, Times, set, dict[str, int]]:
    """Ask for each kind equally often, in a new order each time.

    Return CPU and wall times in µs, answers, and statements.
    """
    cpu, wall, answers = {kind: [] for kind in kinds}, {kind: [] for kind in kinds}, set()
    for _ in range(OF_EACH_KIND):
        for kind in random.sample(list(kinds), len(kinds)):
            start, start_cpu = time.perf_counter_ns(), time.thread_time_ns()
            answer = ask(*kinds[kind])
            cpu[kind].append((time.thread_time_ns() - start_cpu) / 1000)
            wall[kind].append((time.perf_counter_ns() - start) / 1000)
            answers.add((answer.status_code, answer.content))
    counts = {}
    for kind, case in kinds.items():
        with statements() as asked:
            ask(*case)
        counts[kind] = len(asked)
    return cpu, wall, answers, counts
