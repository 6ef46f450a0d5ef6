"""Grants and their e-mails, together: what happens is written in `grants`, and its message staged in one transaction."""

from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from courses.models import Course
from enrollments.models import Enrollment, EnrollmentEvent
from grants import applications, redemption
from grants.applications import Application, Decision
from grants.errors import ApplicationOpen
from grants.models import Grant
from grants.pricing import discounted
from maaledu.db import atomic
from maaledu.money import format_money
from notifications import outgoing

RECEIVED, APPROVED, REJECTED = "grant_received", "grant_approved", "grant_rejected"
REMINDER, ROLLED_BACK = "grant_reminder", "grant_rolled_back"
LMS_REFUSED = "LMS_REFUSED"


def apply(course: Course, application: Application) -> None:
    """File an application and confirm it by e-mail.

    Where one is open already, its applicant is reminded of it by e-mail instead, and the caller learns nothing: the
    answer on the page never tells whether an address is known.
    """
    try:
        _apply(course, application)
    except ApplicationOpen:
        known = Grant.objects.open().filter(course=course, email=application.email).first()
        if known:
            _mail(RECEIVED, known, key=f"again:{timezone.now():%Y%m%d}")


@atomic
def _apply(course: Course, application: Application) -> None:
    _mail(RECEIVED, applications.apply(course, application))


@atomic
def approve(grant: Grant, decision: Decision, *, by: str) -> Grant:
    """Approve and send the code. Raises AlreadyDecided, InvalidDecision, BudgetExceeded."""
    approved = applications.approve(grant, decision, by=by)
    _mail(APPROVED, approved, key="1")
    return approved


@atomic
def reject(grant: Grant, *, by: str, reason: str, note: str = "") -> Grant:
    """Decline and say why. Raises AlreadyDecided, InvalidDecision."""
    rejected = applications.reject(grant, by=by, reason=reason, note=note)
    _mail(REJECTED, rejected)
    return rejected


@atomic
def reissue(grant: Grant, *, by: str) -> Grant:
    """Replace the code and send the new one. Raises AlreadyDecided."""
    fresh = applications.reissue(grant, by=by)
    _mail(APPROVED, fresh, key=str(fresh.code_number))
    return fresh


def send_reminders() -> int:
    """Remind the holders of unused coupons 7 days and 1 day before the end, once each; return how many were reminded."""
    now = timezone.now()
    longest = now + timedelta(days=max(settings.GRANT_REMINDER_DAYS))
    ending = Grant.objects.unused().filter(expires_at__gt=now, expires_at__lte=longest).order_by("expires_at")
    return sum(_remind(grant) for grant in ending[:500])


def _remind(grant: Grant) -> bool:
    left = grant.expires_at - timezone.now() if grant.expires_at else timedelta()
    days = min(days for days in settings.GRANT_REMINDER_DAYS if left <= timedelta(days=days))
    return _mail(REMINDER, grant, key=f"{grant.code_number}:{grant.expires_at:%Y%m%d}:{days}")


@atomic
def roll_back(enrollment: Enrollment, *, by: str) -> bool:
    """Take back a free place that the LMS refused for good: the coupon is good again, the learner is told.

    Only a free grant's place whose LMS job is dead; returns whether this call did it (decisions: free grant).
    """
    refused = Q(kind=Enrollment.KIND_GRANT, status=Enrollment.PAID, lms_status=Enrollment.LMS_FAILED)
    now = timezone.now()
    rows = Enrollment.objects.filter(refused, pk=enrollment.pk)
    # Not in TRANSITIONS on purpose: there, "failed" may follow "pending" only, so that no payment's failing ends a paid place.
    ended = {"status": Enrollment.FAILED, "failure_code": LMS_REFUSED}
    if rows.update(**ended, updated_at=now) != 1:
        return False
    EnrollmentEvent.objects.create(
        enrollment=enrollment, from_status=Enrollment.PAID, to_status=Enrollment.FAILED, actor=by, note=LMS_REFUSED
    )
    redemption.make_good_again(enrollment_id=enrollment.pk)
    grant = Grant.objects.get(pk=cast("UUID", enrollment.grant_id))
    _mail(ROLLED_BACK, grant, key=str(enrollment.pk))
    return True


def _mail(kind: str, grant: Grant, *, key: str = "") -> bool:
    return outgoing.stage(kind=kind, to=grant.email, dedupe_key=f"{kind}:{grant.pk}:{key}"[:120], context=mail_context(grant))


def mail_context(grant: Grant) -> dict[str, Any]:
    course = Course.objects.get(pk=grant.course_id)
    return {
        "customer_name": grant.name,
        "course_title": course.title,
        "answer_due_on": _day(grant.answer_due_on),
        "grant_link": settings.SITE_URL + reverse("grant", args=[grant.token]),
        "reason": dict(Grant.REASONS).get(grant.reject_reason, ""),
        "note": grant.note,
        **(_coupon_context(grant, course) if grant.code else {}),
    }


def _coupon_context(grant: Grant, course: Course) -> dict[str, Any]:
    price = discounted(course.price, grant.percent or 0, course.currency)
    return {
        "code": grant.code,
        "percent": grant.percent,
        "list_price": format_money(price.list_price, price.currency),
        "to_pay": format_money(price.to_pay, price.currency),
        "is_free": price.is_free,
        "expires_on": _day(grant.expires_at),
        "checkout_link": f"{settings.SITE_URL}{reverse('checkout', args=[course.slug])}?grant={grant.token}",
    }


def _day(moment: Any) -> str:
    return f"{moment:%B} {moment.day}, {moment.year}" if moment else ""
