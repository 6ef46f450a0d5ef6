from django.http import HttpRequest
from ninja import Status

from api.operations import operation
from api.shapes import Checkout, CheckoutOrder
from api.terms import Terms
from courses.errors import CourseNotFound
from courses.slugs import slug_of
from grants import refusals
from grants.coupon_limits import count_coupon_check
from grants.errors import CouponUnavailable
from maaledu.http import read_json
from payments import checkout, referrals
from payments.errors import (
    AlreadyEnrolled,
    CheckoutClosed,
    CheckoutUnavailable,
    EmailRefused,
    InvalidCheckout,
    PaymentInProgress,
    PaymentsUnavailable,
)
from payments.forms import CheckoutForm

TERMS = Terms(
    limit="checkout",
    scope="checkout:write",
    makes=True,
    refusals=(
        InvalidCheckout,
        EmailRefused,
        CourseNotFound,
        AlreadyEnrolled,
        PaymentInProgress,
        CouponUnavailable,
        CheckoutClosed,
        CheckoutUnavailable,
        PaymentsUnavailable,
    ),
)


@operation("POST", "checkout", terms=TERMS, answers={201: Checkout}, takes=CheckoutOrder)
def start_checkout(request: HttpRequest) -> Status:
    """Start a checkout, and answer with the address to pay at.

    The price is the course's own, less what the coupon gives. Everything that is not named here is
    ignored. The address of the status page shows the enrollment to whoever has it, so only who has
    just started the checkout gets it.
    """
    body = read_json(request)
    form = CheckoutForm.of_json(body)
    if not form.is_valid():
        raise form.refusal()
    named = body.get("courseId")
    slug = slug_of(named) if isinstance(named, str) else ""
    if form.cleaned_data["coupon"]:
        count_coupon_check(request, {name: form.cleaned_data[name] for name in ("email", "coupon")})
    click = referrals.click_named(request, body.get("referralCode"))
    with refusals.counted():
        started = checkout.start(slug, form.buyer(), click=click)
    enrollment = started.enrollment
    answer = {"url": started.url, "enrollment_id": enrollment.pk}
    if not started.is_resumed:
        answer["status_url"] = enrollment.status_link
    return Status(201, answer)
