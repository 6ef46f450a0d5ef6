"""Where the product's statements change, those of bench/plain/views.py change with them."""

import re

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from tests.factories import completed, deliver, make_course, make_pending
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)

PLAIN = "bench.plain.urls"
VALUES = re.compile(r"'(?:[^']|'')*'|\b\d+\b")
# What belongs to one purchase, in a session of the sandbox.
DIFFERENT = (
    "cancel_url",
    "client_reference_id",
    "created",
    "customer_details",
    "customer_email",
    "expires_at",
    "id",
    "metadata",
    "success_url",
    "url",
)
FORM = {"email": "ada@example.com", "name": "Ada Buyer", "coupon": "", "accept_terms": "on"}


class Captured(CaptureQueriesContext):
    """The statements of a block without their values, begin and end of transactions among them."""

    @property
    def forms(self) -> list[str]:
        return [VALUES.sub("?", query["sql"]) for query in self.captured_queries]


def check_out(slug: str, email: str) -> HttpResponse:
    return Client().post(f"/checkout/{slug}/", {**FORM, "email": email})


@pytest.mark.engines("sqlite", "postgres")
def test_the_plain_checkout_sends_the_products_statements(
    sandbox: Sandbox, settings: Settings
) -> None:
    course = make_course()
    with Captured(connection) as ours:
        answer = check_out(course.slug, "ada@example.com")
    assert answer.status_code == 302
    settings.ROOT_URLCONF = PLAIN
    with Captured(connection) as reference:
        answer = check_out(course.slug, "grace@example.com")
    assert answer.status_code == 302
    assert answer["Location"].startswith("http://127.0.0.1:")
    assert reference.forms == ours.forms
    first, second = sandbox.book("sessions")
    for session in (first, second):
        for name in DIFFERENT:
            session.pop(name)
    assert first == second


@pytest.mark.engines("sqlite", "postgres")
def test_the_plain_webhook_sends_the_products_statements(settings: Settings) -> None:
    _, payment = make_pending()
    _, other = make_pending()
    with Captured(connection) as ours:
        assert deliver(Client(), completed(payment)).status_code == 200
    settings.ROOT_URLCONF = PLAIN
    with Captured(connection) as reference:
        assert deliver(Client(), completed(other)).status_code == 200
    assert reference.forms == ours.forms
    other.refresh_from_db()
    assert (other.status, other.enrollment.status) == ("paid", "paid")
