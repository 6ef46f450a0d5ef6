"""Grants and their e-mails, together: what happens is written in `grants`, and its message staged in one transaction."""

from datetime import datetime, timedelta
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
from grants.redemption import Comeback
from maaledu.db import atomic
from maaledu.money import format_money
from notifications import outgoing
from notifications.alerts import alert_staff

RECEIVED, APPROVED, REJECTED = "grant_received", "grant_approved", "grant_rejected"
REMINDER, ROLLED_BACK, WAITING = "grant_reminder", "grant_rolled_back", "grant_waiting"
LMS_REFUSED = "LMS_REFUSED"


def apply(course: Course, application: Application) -> None:
    """File an application and confirm it by e-mail.

    Where one is open already, its applicant is told by e-mail how it stands instead, and the caller learns nothing: the
    answer on the page never tells whether an address is known.
    """
    try:
        _apply(course, application)
    except ApplicationOpen:
        known = Grant.objects.open().filter(course=course, email=application.email).first()
        if known:
            _mail(RECEIVED if known.status == Grant.PENDING else WAITING, known, key=f"again:{timezone.now():%Y%m%d}")


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
    """Remind the holders of unused coupons 7 days and 1 day before the end, once each; return how many were reminded.

    A moment that lay before the approval already is left out: its mail has just said how long the coupon is good.
    """
    now = timezone.now()
    longest = now + timedelta(days=max(settings.GRANT_REMINDER_DAYS))
    ending = Grant.objects.unused().filter(expires_at__gt=now, expires_at__lte=longest).order_by("expires_at")
    return sum(_remind(grant) for grant in ending[:500])


def _remind(grant: Grant) -> bool:
    expires_at, decided_at = cast("datetime", grant.expires_at), cast("datetime", grant.decided_at)
    left = expires_at - timezone.now()
    days = min(days for days in settings.GRANT_REMINDER_DAYS if left <= timedelta(days=days))
    if expires_at - timedelta(days=days) < decided_at:
        return False
    return _mail(REMINDER, grant, key=f"{grant.code_number}:{grant.expires_at:%Y%m%d}:{days}")


@atomic
def roll_back(enrollment: Enrollment, *, by: str) -> bool:
    """Take back a free place that the LMS refused for good: the coupon is good again if it can be, the learner is told.

    Only a free grant's place whose LMS job is dead; returns whether this call did it (decisions: free grant).
    """
    refused = Q(kind=Enrollment.KIND_GRANT, status=Enrollment.PAID, lms_status=Enrollment.LMS_FAILED)
    now = timezone.now()
    rows = Enrollment.objects.filter(refused, pk=enrollment.pk)
    # Not in TRANSITIONS on purpose: there, "failed" never follows "paid", so that no payment's failing ends a paid place.
    ended = {"status": Enrollment.FAILED, "failure_code": LMS_REFUSED}
    if rows.update(**ended, updated_at=now) != 1:
        return False
    EnrollmentEvent.objects.create(
        enrollment=enrollment, from_status=Enrollment.PAID, to_status=Enrollment.FAILED, actor=by, note=LMS_REFUSED
    )
    is_good_again = give_coupon_back(enrollment, actor=by)
    grant = Grant.objects.get(pk=cast("UUID", enrollment.grant_id))
    _mail(ROLLED_BACK, grant, key=str(enrollment.pk), is_good_again=is_good_again)
    return True


def give_coupon_back(enrollment: Enrollment, *, actor: str) -> bool:
    """Make the coupon of a place that was taken back good again, and return whether it is; where it cannot be, staff are told."""
    came = redemption.make_good_again(cast("UUID", enrollment.grant_id), enrollment_id=enrollment.pk, actor=actor)
    if came == Comeback.DONE_WITHOUT_ROOM:
        _tell_of_overdraft(enrollment)
    if came == Comeback.KEPT_USED:
        alert_staff(
            key=f"coupon-kept:{enrollment.pk}:{enrollment.access_generation}",
            subject="A coupon could not be made good again",
            lines=[
                f"Enrollment {enrollment.pk}: {enrollment.course_title} for {enrollment.email}. Its place was taken back.",
                f"Grant {enrollment.grant_id} stays used, because the learner has applied for this course again and that grant is open.",
                "What it held of its program's budget is free. Decide the newer application: approved, it gives them a coupon.",
            ],
        )
    return came in (Comeback.DONE, Comeback.DONE_WITHOUT_ROOM)


def redeem_late(enrollment: Enrollment, *, actor: str) -> bool:
    """Use the coupon of a place up that is paid after its checkout was over, and return whether it was still to be had.

    Staff are told where its program has no room for it any more: the learner has paid, so the place stays.
    """
    key = cast("UUID", enrollment.grant_id)
    came = redemption.redeem_late(key, enrollment_id=enrollment.pk, email=enrollment.email, actor=actor)
    if came == Comeback.DONE_WITHOUT_ROOM:
        _tell_of_overdraft(enrollment)
    return came != Comeback.GONE


def _tell_of_overdraft(enrollment: Enrollment) -> None:
    alert_staff(
        key=f"over-budget:{enrollment.pk}",
        subject="A program has given more than its budget",
        lines=[
            f"Enrollment {enrollment.pk}: {enrollment.course_title} for {enrollment.email}.",
            f"Grant {enrollment.grant_id} had given its share of the budget back, and is used or good again after all.",
            "The learner keeps what they have, and the program counts it. Raise the budget, or revoke coupons that nobody uses.",
        ],
    )


def _mail(kind: str, grant: Grant, *, key: str = "", **more: Any) -> bool:
    context = {**mail_context(grant), **more}
    return outgoing.stage(kind=kind, to=grant.email, dedupe_key=f"{kind}:{grant.pk}:{key}"[:120], context=context)


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
