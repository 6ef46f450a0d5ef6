"""Following what one request began, and nothing else, through lines, rows and calls (R176)."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

from maaledu import tracing
from maaledu.middleware import RequestContextMiddleware
from maaledu.rows import for_each_row
from maaledu.work.queue import Queue, drain
from notifications import outgoing
from notifications.models import Email

FIRST, SECOND = "first-0a1b2c3d", "second-0a1b2c3d"


@pytest.fixture(autouse=True)
def _nothing_bound() -> Iterator[None]:
    clear_contextvars()
    yield
    clear_contextvars()


@pytest.mark.no_database
@pytest.mark.parametrize(
    "damaged",
    [None, 7, "", "short", "a" * 65, "new\nline-0a1b", "line-0a1b2c3d\n", "-dash-0a1b", "é" * 10],
)
def test_a_damaged_id_is_none(damaged: Any) -> None:
    assert tracing.well_formed(damaged) == ""


@pytest.mark.no_database
def test_what_is_written_is_of_the_request_that_began_it() -> None:
    assert tracing.current() == ""
    bind_contextvars(request_id=SECOND)
    assert tracing.current() == SECOND
    tracing.follow(FIRST)
    assert tracing.current() == FIRST
    assert get_contextvars() == {"request_id": SECOND, "purchase": FIRST}
    tracing.follow(SECOND)
    assert get_contextvars() == {"request_id": SECOND}


@pytest.mark.any_engine
def test_a_worker_takes_the_id_up_from_the_row_and_keeps_none(db: None) -> None:
    for key, request_id in (("a", FIRST), ("b", SECOND), ("c", "")):
        Email.objects.create(dedupe_key=key, kind="any", to="a@example.com", request_id=request_id)
    seen: dict[str, Any] = {}

    def run(email: Email) -> None:
        seen[email.dedupe_key] = (get_contextvars().get("request_id"), tracing.current())
        tracing.follow("another-0a1b2c3d")

    drain(Queue("emails", Email, run, backoff=lambda _: None, lease=timedelta(60)))
    assert seen == {"a": (FIRST, FIRST), "b": (SECOND, SECOND), "c": (None, "")}
    assert get_contextvars() == {}


@pytest.mark.any_engine
def test_no_row_of_a_sweep_is_taken_for_the_one_before_it(db: None) -> None:
    rows = [
        Email.objects.create(dedupe_key=key, kind="any", to="a@example.com", request_id=request_id)
        for key, request_id in (("a", FIRST), ("b", ""))
    ]
    seen = []

    def work(row: Email) -> bool:
        seen.append(tracing.current())
        tracing.follow(row.request_id)
        return True

    assert for_each_row(rows, work) == 2
    assert (seen, tracing.current()) == (["", ""], "")


@pytest.mark.any_engine
def test_a_message_carries_the_id_as_a_header_and_one_without_carries_none(db: None) -> None:
    bind_contextvars(request_id=SECOND)
    context = {"subject": "S", "lines": ["L"]}
    for key, request_id in (("of the purchase", FIRST), ("of the request", "")):
        outgoing.stage(
            kind=outgoing.STAFF_ALERT,
            to="a@example.com",
            dedupe_key=key,
            context=context,
            request_id=request_id,
        )
    sent = {email.dedupe_key: outgoing.compose(email) for email in Email.objects.all()}
    assert sent["of the purchase"].extra_headers["X-Request-ID"] == FIRST
    assert sent["of the request"].extra_headers["X-Request-ID"] == SECOND
    assert (
        "X-Request-ID"
        not in outgoing.compose(
            Email(kind=outgoing.STAFF_ALERT, context=context, request_id="")
        ).extra_headers
    )


@pytest.mark.no_database
def test_a_request_does_not_inherit_what_its_thread_followed_before() -> None:
    bind_contextvars(request_id=FIRST, purchase=FIRST)
    seen = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(tracing.current())
        return HttpResponse()

    request = RequestFactory().get("/", headers={"x-request-id": SECOND})
    RequestContextMiddleware(view)(request)
    assert seen == [SECOND]
