from contextlib import suppress
from typing import Any, cast

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.http import require_GET, require_POST, require_safe

from accounts.models import User
from affiliates import attribution
from courses.errors import CourseNotFound
from courses.models import Course
from enrollments import progress
from enrollments.models import Enrollment
from grants import refusals
from grants.errors import CouponUnavailable
from grants.models import Grant
from maaledu.errors import AppError, RateLimited
from maaledu.http import add_error_headers
from maaledu.limits import limit
from maaledu.money import Money
from payments import checkout, orders, referrals, settlement
from payments.errors import StripeRefused, StripeUnavailable
from payments.models import Payment
from payments.orders import QuoteView
from storefront import my_courses
from storefront.coupon_limits import count_coupon_check, proof_of
from storefront.errors import EnrollmentNotFound
from storefront.forms import CheckoutForm, CouponForm
from storefront.status import describe

ASK_STRIPE_EVERY_SECONDS = 10
MAX_TOKEN_LENGTH = 40


@method_decorator(limit("checkout", methods=["POST"]), name="dispatch")
class CheckoutView(View):
    """The order summary with the buyer's form, and the redirect to Stripe's page."""

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        known = self.known(request)
        return self.page(request, slug, CheckoutForm(initial=known), **_quoted(slug, known))

    def known(self, request: HttpRequest) -> dict[str, str]:
        """What we know of the buyer: by the link in a grant's e-mail, or by being signed in."""
        grant = (
            Grant.objects.filter(token=request.GET.get("grant", "")[:MAX_TOKEN_LENGTH])
            .exclude(code=None)
            .first()
        )
        if grant:
            code = grant.code or ""
            return {
                "email": grant.email,
                "name": grant.name,
                "coupon": code,
                "proof": proof_of(grant.email, code),
            }
        return (
            {"email": request.user.email, "name": request.user.name}
            if request.user.is_authenticated
            else {}
        )

    def post(self, request: HttpRequest, slug: str) -> HttpResponse:
        form = CheckoutForm(request.POST)
        valid, data = form.is_valid(), form.cleaned_data
        try:
            if data.get("coupon") and data.get("email"):
                count_coupon_check(request, data)
            if not valid:
                return self.page(request, slug, form, status=400, **_quoted(slug, data))
            with refusals.counted():
                buyer = {name: data[name] for name in ("email", "name", "coupon")}
                started = checkout.start(slug=slug, click=attribution.click_of(request), **buyer)
        except CourseNotFound:
            raise
        except CouponUnavailable as error:
            return self.page(request, slug, form, status=error.http_status, coupon_error=error)
        except AppError as error:
            return self.refusal(request, slug, form, error)
        return redirect(started.url)

    def refusal(
        self, request: HttpRequest, slug: str, form: CheckoutForm, error: AppError
    ) -> HttpResponse:
        quoted = {} if isinstance(error, RateLimited) else _quoted(slug, form.cleaned_data)
        return add_error_headers(
            self.page(request, slug, form, error=error, status=error.http_status, **quoted), error
        )

    def page(
        self, request: HttpRequest, slug: str, form: CheckoutForm, *, status: int = 200, **more: Any
    ) -> HttpResponse:
        context = _checkout_context(
            slug, form, referral=referrals.shown_to(request, email=form["email"].value()), **more
        )
        return render(request, "checkout/checkout.html", context, status=status)


def _quoted(slug: str, data: dict[str, str]) -> dict[str, Any]:
    """What a page that holds a coupon already says about it: its quote, or the refusal."""
    if not (data.get("coupon") and data.get("email")):
        return {}
    try:
        with refusals.counted():
            return {"quote": orders.quote(slug=slug, email=data["email"], coupon=data["coupon"])}
    except CouponUnavailable as error:
        return {"coupon_error": error}


def _checkout_context(
    slug: str, form: CheckoutForm, *, quote: QuoteView | None = None, **more: Any
) -> dict[str, Any]:
    course = quote.course if quote else Course.objects.on_sale().filter(slug=slug).first()
    if course is None:
        raise CourseNotFound(slug=slug)
    list_price = "Free" if course.is_free else str(Money(course.price, course.currency))
    to_pay = quote.to_pay if quote else list_price
    return {"course": course, "form": form, "price_display": to_pay, "quote": quote, **more}


@method_decorator(require_POST, name="dispatch")
class CouponView(View):
    """What a coupon makes of the price: a part of the page for htmx, the whole page without; a
    refusal has its status in both.

    Never by GET: a code does not belong into an address, where it is logged and passed on.
    """

    def post(self, request: HttpRequest, slug: str) -> HttpResponse:
        htmx = bool(request.headers.get("HX-Request"))
        form = CouponForm(request.POST)
        quote, error = None, None
        if form.is_valid():
            quote, error = self.tried(request, slug, form)
        page = CheckoutForm(initial=request.POST.dict())
        referral = None if htmx else referrals.shown_to(request)
        context = _checkout_context(
            slug, page, quote=quote, coupon_error=error, coupon_form=form, referral=referral
        )
        template = "checkout/_order.html" if htmx else "checkout/checkout.html"
        status = error.http_status if error else 200 if form.is_valid() else 400
        response = render(request, template, context, status=status)
        return add_error_headers(response, error) if error else response

    def tried(
        self, request: HttpRequest, slug: str, form: CouponForm
    ) -> tuple[QuoteView | None, AppError | None]:
        data = form.cleaned_data
        try:
            count_coupon_check(request, data)
            with refusals.counted():
                return orders.quote(slug=slug, email=data["email"], coupon=data["coupon"]), None
        except CourseNotFound:
            raise
        except AppError as error:
            return None, error


@require_GET
def cancelled(request: HttpRequest, token: str) -> HttpResponse:
    """Where Stripe's "back" leads: the place is released, unless it was paid after all."""
    enrollment = _enrollment(token)
    # the sweep ends it then; the page says what is true either way
    with suppress(StripeUnavailable, StripeRefused):
        checkout.cancel(enrollment)
    if enrollment.status == Enrollment.PAID:
        return redirect(enrollment)
    context = {"enrollment": enrollment, "course_slug": enrollment.course_slug}
    return render(request, "checkout/cancelled.html", context)


@require_safe
def enrollment_page(request: HttpRequest, token: str) -> HttpResponse:
    return render(request, "enrollments/status.html", _status(token))


@require_safe
@limit("status")
def enrollment_status(request: HttpRequest, token: str) -> HttpResponse:
    """The part of the page that changes, for htmx."""
    return render(request, "enrollments/_status.html", _status(token))


def _status(token: str) -> dict:
    enrollment = _enrollment(token)
    payment = (
        enrollment.payments.order_by("-attempt").first()
        if enrollment.status == Enrollment.PENDING
        else None
    )
    if payment and _asked(payment):
        enrollment.refresh_from_db()
    return {"enrollment": enrollment, "view": describe(enrollment, payment)}


def _asked(payment: Payment) -> bool:
    """Ask Stripe about an open payment, at most once in ten seconds: the webhook may be late, or
    lost.
    """
    if payment.status not in Payment.OPEN or not payment.stripe_session_id:
        return False
    if not cache.add(f"asked-stripe:{payment.pk}", 1, ASK_STRIPE_EVERY_SECONDS):
        return False
    try:
        return settlement.ask_stripe(payment, actor="success page", interactive=True)
    except (StripeUnavailable, StripeRefused):
        return False


def _enrollment(token: str) -> Enrollment:
    enrollment = Enrollment.objects.filter(token=token).first()
    if enrollment is None:
        raise EnrollmentNotFound
    return enrollment


@require_safe
@login_required
def account(request: HttpRequest) -> HttpResponse:
    """My courses: what the signed-in person's verified addresses have bought, page by page."""
    context = my_courses.courses_of(
        cast("User", request.user), cursor=request.GET.get("cursor", "")
    )
    return render(
        request, "accounts/account.html", {**context, "support_email": settings.SUPPORT_EMAIL}
    )


@require_safe
@limit("status")
def enrollment_progress(request: HttpRequest, token: str) -> HttpResponse:
    """The learner's progress, fresh from the LMS at most every two minutes, for htmx."""
    enrollment = _enrollment(token)
    progress.refresh(enrollment)
    return render(request, "enrollments/_progress.html", {"enrollment": enrollment})
