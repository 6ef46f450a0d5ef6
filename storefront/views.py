from typing import Any, cast

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.http import require_safe

from accounts.models import User
from affiliates import attribution
from courses.discounts import undiscounted
from courses.errors import CourseNotFound
from enrollments import lms_jobs, progress
from enrollments.errors import EnrollmentNotFound
from enrollments.models import Enrollment
from grants import refusals
from grants.coupon_limits import count_coupon_check, proof_of
from grants.errors import CouponUnavailable
from grants.models import Grant
from lms_sync import breaker
from maaledu import tracing
from maaledu.errors import AppError, RateLimited
from maaledu.http import add_error_headers
from maaledu.limits import limit
from maaledu.prefetching import is_prefetch
from payments import checkout, checkout_sessions, orders, referrals
from payments.errors import EmailRefused, StripeRefused, StripeUnavailable
from payments.forms import CheckoutForm, CouponForm
from payments.models import Payment
from payments.orders import Order
from payments.outcomes import outcomes_of
from storefront import my_courses
from storefront.closing import unless_closed
from storefront.status import describe

ASK_STRIPE_EVERY_SECONDS = 10
MAX_TOKEN_LENGTH = 40
ASK_AGAIN_SECONDS = 5  # while the worker is asking the LMS
LONGEST_PAUSE_SECONDS = 3600  # of a page that is left open


@method_decorator(unless_closed, name="dispatch")
@method_decorator(limit("checkout", methods=["POST"]), name="dispatch")
class CheckoutView(View):
    """The order summary with the buyer's form, and the redirect to Stripe's page."""

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        known = _known_buyer(request)
        owned = my_courses.owned(cast("User", request.user), slug)
        form = CheckoutForm(initial=known)
        try:
            return self.page(request, slug, form, owned=owned, **_quoted(slug, known))
        except CourseNotFound:
            # Its page says that the course of this coupon is no longer sold, and what to do.
            if "proof" in known:
                return redirect("grant", request.GET["grant"][:MAX_TOKEN_LENGTH])
            raise

    def post(self, request: HttpRequest, slug: str) -> HttpResponse:
        form = CheckoutForm(request.POST)
        valid, data = form.is_valid(), form.cleaned_data
        try:
            if data.get("coupon") and data.get("email"):
                count_coupon_check(request, data)
            if not valid:
                return self.page(request, slug, form, status=400, **_quoted(slug, data))
            with refusals.counted():
                click = attribution.click_of(request)
                started = checkout.start(slug, form.buyer(), click=click)
        except CourseNotFound:
            raise
        except CouponUnavailable as error:
            return self.page(request, slug, form, status=error.http_status, coupon_error=error)
        except EmailRefused as error:
            quoted = _quoted(slug, data)  # before the field's error takes the address out of them
            form.add_error("email", error.message)
            return self.page(request, slug, form, status=error.http_status, **quoted)
        except AppError as error:
            # Who is over a limit is not given a quote: it would be one more look at a coupon.
            quoted = {} if isinstance(error, RateLimited) else _quoted(slug, data)
            page = self.page(request, slug, form, status=error.http_status, error=error, **quoted)
            return add_error_headers(page, error)
        return redirect(started.url)

    def page(
        self, request: HttpRequest, slug: str, form: CheckoutForm, *, status: int = 200, **more: Any
    ) -> HttpResponse:
        context = _checkout_context(
            slug, form, referral=referrals.shown_to(request, email=form["email"].value()), **more
        )
        return render(request, "checkout/checkout.html", context, status=status)


def _known_buyer(request: HttpRequest) -> dict[str, str]:
    """Return the form's values from the link in a grant's e-mail, or from the account."""
    token = request.GET.get("grant", "")[:MAX_TOKEN_LENGTH]
    grant = Grant.objects.filter(token=token).exclude(code=None).first()
    if grant:
        code = grant.code or ""
        return {
            "email": grant.email,
            "name": grant.name,
            "coupon": code,
            "proof": proof_of(grant.email, code),
        }
    if request.user.is_authenticated:
        return {"email": request.user.email, "name": request.user.name}
    return {}


def _quoted(slug: str, data: dict[str, str]) -> dict[str, Any]:
    """Return what the page says about a coupon that is in the form already."""
    if not (data.get("coupon") and data.get("email")):
        return {}
    try:
        with refusals.counted():
            return {"quote": orders.quote(slug=slug, email=data["email"], coupon=data["coupon"])}
    except CouponUnavailable as error:
        return {"coupon_error": error}


def _checkout_context(
    slug: str, form: CheckoutForm, *, quote: Order | None = None, **more: Any
) -> dict[str, Any]:
    course = quote.course if quote else orders.course_on_sale(slug)
    price = quote.price if quote else undiscounted(course.price, course.currency)
    shown = orders.shown_price(price)
    return {"course": course, "form": form, "price": price, "shown": shown, "quote": quote, **more}


@method_decorator(unless_closed, name="dispatch")
class CouponView(View):
    """What a coupon makes of the price: a part of the page for htmx, without it the whole page.

    A refusal has its status in both. Never by GET: a code in an address would be logged and passed
    on. Who loads the whole page again by its address gets the checkout.
    """

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        return redirect("checkout", slug=slug)

    def post(self, request: HttpRequest, slug: str) -> HttpResponse:
        form = CouponForm(request.POST)
        if not form.is_valid():
            return self.page(request, slug, form, status=400)
        data = form.cleaned_data
        try:
            count_coupon_check(request, data)
            with refusals.counted():
                quote = orders.quote(slug=slug, email=data["email"], coupon=data["coupon"])
        except CourseNotFound:
            raise
        except AppError as error:
            page = self.page(request, slug, form, status=error.http_status, coupon_error=error)
            return add_error_headers(page, error)
        return self.page(request, slug, form, quote=quote)

    def page(
        self, request: HttpRequest, slug: str, form: CouponForm, *, status: int = 200, **more: Any
    ) -> HttpResponse:
        is_part = bool(request.headers.get("HX-Request"))
        context = _checkout_context(
            slug,
            CheckoutForm(initial=request.POST.dict()),
            coupon_form=form,
            referral=None if is_part else referrals.shown_to(request),
            **more,
        )
        template = "checkout/_order.html" if is_part else "checkout/checkout.html"
        return render(request, template, context, status=status)


@require_safe
def enrollment_page(request: HttpRequest, token: str) -> HttpResponse:
    return render(request, "enrollments/status.html", status_of(request, token))


@require_safe
@limit("status")
def enrollment_status(request: HttpRequest, token: str) -> HttpResponse:
    """The part of the status page that changes, for htmx."""
    return render(request, "enrollments/_status.html", status_of(request, token))


@limit("status", methods=["POST"])
def enrollment_account(request: HttpRequest, token: str) -> HttpResponse:
    """The learner says that their account on the learning platform is there now.

    Who loads its address again only sees the page.
    """
    enrollment = enrollment_of(token)
    if request.method == "POST":
        lms_jobs.look_for_account(enrollment)
    return redirect(enrollment)


def status_of(request: HttpRequest, token: str) -> dict[str, Any]:
    """Return what a page says of an enrollment; an open payment is asked about at Stripe first."""
    enrollment = enrollment_of(token)
    outcomes = outcomes_of([enrollment])[enrollment.pk]
    is_waiting = enrollment.status == Enrollment.PENDING and bool(outcomes)
    if is_waiting and not is_prefetch(request) and _ask_stripe(outcomes[0].payment):
        enrollment.refresh_from_db()
        outcomes = outcomes_of([enrollment])[enrollment.pk]
    return {"enrollment": enrollment, "view": describe(enrollment, outcomes)}


def _ask_stripe(payment: Payment) -> bool:
    """Ask Stripe about an open payment, at most once in ten seconds, and return if that changed it.

    The webhook may be late, or lost.
    """
    if payment.status not in Payment.OPEN or not payment.stripe_session_id:
        return False
    if not cache.add(f"asked-stripe:{payment.pk}", 1, ASK_STRIPE_EVERY_SECONDS):
        return False
    try:
        return checkout_sessions.ask_stripe(payment, actor="success page", interactive=True)
    except (StripeUnavailable, StripeRefused):
        return False


def enrollment_of(token: str) -> Enrollment:
    enrollment = Enrollment.objects.filter(token=token).first()
    if enrollment is None:
        raise EnrollmentNotFound
    tracing.follow(enrollment.request_id)
    return enrollment


@require_safe
@login_required
def account(request: HttpRequest) -> HttpResponse:
    """My courses: what the verified addresses of the signed-in person have bought."""
    context = my_courses.courses_of(
        cast("User", request.user), cursor=request.GET.get("cursor", "")
    )
    return render(
        request, "accounts/account.html", {**context, "support_email": settings.SUPPORT_EMAIL}
    )


@require_safe
@limit("status")
def enrollment_progress(request: HttpRequest, token: str) -> HttpResponse:
    """What is known of the learner's progress, and since when, for htmx.

    The page asks soon again while there is something newer to come, and else when this is old: each
    time after a longer pause, so that a page left open costs the LMS little. Whoever has the link
    sees how far the learner is; the certificate is shown to the learner alone.
    """
    enrollment = enrollment_of(token)
    is_wanted = not is_prefetch(request) and progress.want(enrollment)
    is_to_come = is_wanted and not breaker.outage(enrollment.lms_platform)
    pause = _pause(request.GET.get("pause", ""))
    context = {
        "enrollment": enrollment,
        "is_learner": my_courses.is_of(cast("User", request.user), enrollment),
        "ask_in": ASK_AGAIN_SECONDS if is_to_come else pause,
        "next_pause": pause if is_to_come else 2 * pause,
    }
    return render(request, "enrollments/_progress.html", context)


def _pause(asked: str) -> int:
    """Return the seconds after which a page asks whose number is fresh."""
    shortest = int(settings.LEARNER_DASHBOARD_LIFETIME.total_seconds())
    digits = asked[:5]  # as many as are above the longest pause
    known = int(digits) if digits.isdecimal() else 0
    return min(max(known, shortest), LONGEST_PAUSE_SECONDS)
