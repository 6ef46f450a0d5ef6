"""The product's own requests. Imported in a process where the product is set up."""

import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.test import RequestFactory
from django.urls import resolve
from django.utils import timezone

from bench.requests import Case, Request, new_page, same_page, signed
from courses.models import Course
from grants import applications
from grants.applications import Application, Decision
from grants.models import Grant
from maaledu import metrics
from payments import checkout, checkout_sessions, gateway
from payments.models import Payment
from payments.orders import Buyer

SLUG = "data-analysis-foundations"
CSRF = "bench0123456789ABCDEFGHIJKLMNOPq"  # a cookie and a form field that agree


def _email() -> str:
    return f"bench-{uuid.uuid4().hex}@example.com"


def _checkouts(count: int) -> list[Request]:
    return [_checkout() for _ in range(count)]


def _checkout(email: str = "", coupon: str = "") -> Request:
    form = {
        "email": email or _email(),
        "name": "Bench Buyer",
        "accept_terms": "on",
        "coupon": coupon,
    }
    return _form(f"/checkout/{SLUG}/", form)


def _form(path: str, fields: dict[str, str], **headers: str) -> Request:
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": f"csrftoken={CSRF}"}
    return Request(
        "POST", path, urlencode({"csrfmiddlewaretoken": CSRF, **fields}), {**kind, **headers}
    )


def _quotes(count: int) -> list[Request]:
    """Return requests for what one coupon makes of the price, as the page's "Apply" sends them."""
    grant = _coupon(percent=50)
    quote = _form(
        f"/checkout/{SLUG}/coupon/",
        {"email": grant.email, "coupon": grant.code or ""},
        **{"HX-Request": "true"},
    )
    return [quote] * count


def _free_checkouts(count: int) -> list[Request]:
    return [
        _checkout(grant.email, grant.code or "")
        for grant in (_coupon(percent=100) for _ in range(count))
    ]


def _coupon(*, percent: int) -> Grant:
    application = Application("Bench Holder", _email(), "A situation.", "A motivation.")
    decision = Decision(percent, timezone.now() + timedelta(days=1))
    return applications.approve(
        applications.file(Course.objects.get(slug=SLUG), application),
        decision,
        by="bench@example.com",
    )


def _webhooks(count: int) -> list[Request]:
    """Return signed events of sessions that are paid, each for a pending enrollment made here."""
    return [signed("/api/webhook", _paid_session()) for _ in range(count)]


def _paid_session() -> dict[str, Any]:
    enrollment = checkout.start(SLUG, Buyer(_email(), name="Bench Buyer")).enrollment
    session = gateway.retrieve_session(enrollment.payments.get().stripe_session_id)
    return {
        **session,
        "status": "complete",
        "payment_status": "paid",
        "payment_intent": f"pi_{uuid.uuid4().hex[:24]}",
        "url": None,
    }


def _stripe_call() -> Callable[[], object]:
    """Return a call that creates a session, which is what Stripe's SDK does in a checkout."""
    payment = (
        Payment.objects.select_related("enrollment").filter(stripe_session_id__isnull=False).first()
    )
    params = {
        **checkout_sessions.session_params(payment.enrollment, payment),
        "expires_at": int(time.time()) + 36 * 60,
    }
    return partial(_create_session, params)


def _create_session(params: dict[str, Any]) -> object:
    return gateway.create_session(params, idempotency_key=f"bench-{uuid.uuid4()}", about="a bench")


def _counting() -> Callable[[], object]:
    """Return what each request of the product does for /metrics."""
    request = RequestFactory().get("/")
    request.resolver_match = resolve("/")
    return partial(metrics.count_request, request, 200, 0.02)


CASES = {
    "catalogue, cached": same_page("/"),
    "catalogue, uncached": new_page("/"),
    "course page, cached": same_page(f"/courses/{SLUG}/"),
    "course page, uncached": new_page(f"/courses/{SLUG}/"),
    "checkout POST": Case(_checkouts, status=302),
    "coupon quote": Case(_quotes),
    "free checkout with a coupon": Case(_free_checkouts, status=302),
    "webhook, fulfilled": Case(_webhooks),
}
CALLS = {"Stripe's SDK alone": _stripe_call, "counting a request": _counting}
