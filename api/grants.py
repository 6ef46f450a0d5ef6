from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from ninja import Status

from accounts.models import User
from api.errors import InvalidInput
from api.fields import Cursor, Limit
from api.operations import operation
from api.reading import refusal_of_form
from api.shapes import (
    Amount,
    ApplicationReceived,
    ApplicationText,
    CouponAnswer,
    CouponQuestion,
    GrantPage,
    pager_of,
)
from api.terms import SIGNED_IN, Terms
from courses.errors import CourseNotFound
from grants import applications, refusals
from grants.coupon_limits import count_code_for_email
from grants.errors import CouponUnavailable
from grants.forms import ApplicationForm
from grants.models import Grant
from grants.views import course_of
from maaledu.paging import DEFAULT_LIMIT, BadCursor, paginate
from payments import orders
from payments.errors import CheckoutClosed
from payments.forms import CouponForm

COUPON_NAMES = {"email": "email", "coupon": "couponCode"}
READ = Terms(who=SIGNED_IN, scope="grants:read", refusals=(BadCursor, InvalidInput))
APPLY = Terms(
    limit="grant_application", scope="grants:write", makes=True, refusals=(CourseNotFound,)
)
CHECK = Terms(
    limit="coupon",
    scope="coupons:check",
    refusals=(CourseNotFound, CouponUnavailable, CheckoutClosed),
)


@operation("GET", "grants", terms=READ, answers={200: GrantPage})
def list_grants(
    request: HttpRequest, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = ""
) -> dict[str, Any]:
    """List the applications under one's own verified addresses, the newest first."""
    user: User = request.user  # type: ignore[assignment]
    own = Grant.objects.filter(email__in=user.verified_emails()).select_related("course")
    page = paginate(own, cursor=cursor, limit=limit)
    return {"grants": [_item(grant) for grant in page.rows], **pager_of(page)}


def _item(grant: Grant) -> dict[str, Any]:
    return {
        "grant_id": grant.pk,
        "course_id": grant.course.slug,
        "course_title": grant.course.title,
        "status": grant.status,
        "discount_percent": grant.percent,
        "coupon_code": grant.code,
        "expires_at": grant.expires_at,
        "answer_due_on": grant.answer_due_on,
        "created_at": grant.created_at,
        "url": settings.SITE_URL + reverse("grant", args=[grant.token]),
    }


@operation("POST", "grants", terms=APPLY, answers={202: ApplicationReceived})
def apply_for_grant(request: HttpRequest, body: ApplicationText) -> Status:
    """Apply for help with a course's price.

    The answer is the same whether the address is known or not; a link to follow the application
    comes by e-mail.
    """
    form = ApplicationForm(body.model_dump())
    if not form.is_valid():
        raise refusal_of_form(form, {})
    applications.apply(course_of(body.course_id), form.application())
    days = settings.GRANT_ANSWER_WORKING_DAYS
    return Status(202, {"status": "received", "answer_within_working_days": days})


@operation("POST", "grants/validate", terms=CHECK, answers={200: CouponAnswer})
def validate_coupon(request: HttpRequest, body: CouponQuestion) -> dict[str, Any]:
    """Say what a coupon makes of a course's price for its holder; nothing is held.

    An unknown, foreign, used, reserved or expired code has one refusal.
    """
    form = CouponForm({"email": body.email, "coupon": body.coupon_code})
    if not form.is_valid():
        raise refusal_of_form(form, COUPON_NAMES)
    count_code_for_email(request, form.cleaned_data)
    with refusals.counted():
        email, coupon = form.cleaned_data["email"], form.cleaned_data["coupon"]
        order = orders.quote(slug=body.course_id, email=email, coupon=coupon)
    price = order.price
    return {
        "valid": True,
        "course_id": order.course.slug,
        "discount_percent": (order.grant.percent or 0) if order.grant else 0,
        "list_price": Amount.of(price.list_price, price.currency),
        "discount": Amount.of(price.discount, price.currency),
        "amount": Amount.of(price.to_pay, price.currency),
        "currency": price.currency,
    }
