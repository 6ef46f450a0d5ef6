"""The e-mails to an applicant about a grant and its coupon, each sent once for its cause."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext

from courses.discounts import discounted
from courses.models import Course
from grants.models import Grant
from maaledu.language import in_shop_language, long_day
from maaledu.money import Money
from notifications import outgoing

RECEIVED, APPROVED, REJECTED = "grant_received", "grant_approved", "grant_rejected"
REMINDER, ROLLED_BACK, WAITING = "grant_reminder", "grant_rolled_back", "grant_waiting"
WITHDRAWN, OFF_SALE = "grant_withdrawn", "grant_off_sale"


def stage(kind: str, grant: Grant, *, key: str = "", **more: Any) -> bool:
    """Stage a message to the applicant, once for its kind and key; return whether this call did."""
    context = {**mail_context(grant), **more}
    dedupe_key = key_of(kind, grant, key)
    return outgoing.stage(kind=kind, to=grant.email, dedupe_key=dedupe_key, context=context)


def key_of(kind: str, grant: Grant, key: str) -> str:
    return f"{kind}:{grant.pk}:{key}"[:120]


@in_shop_language
def mail_context(grant: Grant) -> dict[str, Any]:
    course = Course.objects.get(pk=grant.course_id)
    return {
        "customer_name": grant.name,
        "course_title": course.title,
        "answer_due_on": long_day(grant.answer_due_on),
        "grant_link": settings.SITE_URL + reverse("grant", args=[grant.token]),
        "reason": str(dict(Grant.REASONS).get(grant.reject_reason, "")),
        "note": grant.note,
        **(_coupon_context(grant, course) if grant.code else {}),
    }


def _coupon_context(grant: Grant, course: Course) -> dict[str, Any]:
    price = discounted(course.price, grant.percent or 0, course.currency)
    return {
        "code": grant.code,
        "percent": grant.percent,
        "list_price": str(Money(price.list_price, price.currency)),
        "to_pay": str(Money(price.to_pay, price.currency)),
        "is_free": price.is_free,
        "expires_on": last_moment(grant.expires_at),
        "checkout_link": (
            f"{settings.SITE_URL}{reverse('checkout', args=[course.slug])}?grant={grant.token}"
        ),
    }


@in_shop_language
def last_moment(moment: datetime | None) -> str:
    """Return the last moment with its zone: in Los Angeles the day of UTC ends in the afternoon."""
    return f"{date_format(moment, gettext('F j, Y, H:i'))} UTC" if moment else ""
