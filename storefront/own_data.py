"""Everything that we keep about a person, as they may take it along (GDPR, articles 15 and 20)."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from allauth.account.models import EmailAddress
from django.utils import timezone

from accounts.models import User
from affiliates.models import Affiliate, LedgerEntry, Payout
from enrollments.models import Enrollment
from grants.models import Grant
from maaledu.money import plain_amount
from notifications.models import Email
from payments.models import Payment, Refund, RefundRequest

Facts = dict[str, Any]


def export(user: User) -> Facts:
    """Return what is kept of this person under the addresses that they have proved."""
    emails = user.verified_emails()
    return {
        "exported_at": _moment(timezone.now()),
        "account": _account(user),
        "enrollments": [_enrollment(row) for row in _oldest(Enrollment, emails)],
        "payments": [_payment(row) for row in _payments(emails)],
        "refunds": [_refund(row) for row in _refunds(emails)],
        "refund_requests": [_request(row) for row in _requests(emails)],
        "grants": [_grant(row) for row in _oldest(Grant, emails).select_related("course")],
        "affiliate": _affiliate(user),
        "messages": [_message(row) for row in _messages(emails)],
    }


def _oldest(model: Any, emails: Collection[str]) -> Any:
    return model.objects.filter(email__in=emails).order_by("created_at")


def _payments(emails: Collection[str]) -> Any:
    rows = Payment.objects.filter(enrollment__email__in=emails)
    return rows.order_by("created_at")


def _refunds(emails: Collection[str]) -> Any:
    rows = Refund.objects.filter(payment__enrollment__email__in=emails)
    return rows.order_by("created_at")


def _requests(emails: Collection[str]) -> Any:
    rows = RefundRequest.objects.filter(payment__enrollment__email__in=emails)
    return rows.order_by("created_at")


def _messages(emails: Collection[str]) -> Any:
    return Email.objects.filter(to__in=emails).order_by("created_at")


def _account(user: User) -> Facts:
    rows = EmailAddress.objects.filter(user=user).order_by("email")
    return {
        "email": user.email,
        "name": user.name,
        "joined_at": _moment(user.date_joined),
        "last_sign_in_at": _moment(user.last_login),
        "addresses": [{"email": row.email, "confirmed": row.verified} for row in rows],
    }


def _enrollment(row: Enrollment) -> Facts:
    return {
        "id": str(row.pk),
        "email": row.email,
        "name": row.name,
        "course": row.course_title,
        "kind": row.kind,
        "status": row.status,
        "access": row.lms_status,
        "list_price": plain_amount(row.list_price, row.currency),
        "price": plain_amount(row.amount, row.currency),
        "currency": row.currency,
        "referral_code": row.referral_code,
        "referral_label": row.referral_label,
        "progress_percent": row.progress_percent,
        "completed_at": _moment(row.completed_at),
        "certificate": row.certificate_link,
        "started_at": _moment(row.created_at),
        "paid_at": _moment(row.paid_at),
        "status_page": row.status_link,
    }


def _payment(row: Payment) -> Facts:
    return {
        "id": str(row.pk),
        "enrollment": str(row.enrollment_id),
        "status": row.status,
        "amount": plain_amount(row.amount, row.currency),
        "currency": row.currency,
        "stripe_session": row.stripe_session_id,
        "created_at": _moment(row.created_at),
        "paid_at": _moment(row.paid_at),
    }


def _refund(row: Refund) -> Facts:
    return {
        "payment": str(row.payment_id),
        "status": row.status,
        "amount": plain_amount(row.amount, row.currency),
        "currency": row.currency,
        "created_at": _moment(row.created_at),
    }


def _request(row: RefundRequest) -> Facts:
    return {
        "payment": str(row.payment_id),
        "status": row.status,
        "reason": row.reason,
        "answer": row.note,
        "created_at": _moment(row.created_at),
        "decided_at": _moment(row.decided_at),
    }


def _grant(row: Grant) -> Facts:
    return {
        "email": row.email,
        "name": row.name,
        "course": row.course.title,
        "situation": row.situation,
        "motivation": row.motivation,
        "status": row.status,
        "percent": row.percent,
        "note": row.note,
        "applied_at": _moment(row.created_at),
        "decided_at": _moment(row.decided_at),
        "good_until": _moment(row.expires_at),
    }


def _affiliate(user: User) -> Facts | None:
    affiliate = Affiliate.objects.filter(user_id=user.pk).first()
    if affiliate is None:
        return None
    entries = LedgerEntry.objects.filter(affiliate_id=affiliate.pk).order_by("created_at", "id")
    payouts = Payout.objects.filter(affiliate_id=affiliate.pk).order_by("created_at")
    return {
        "code": affiliate.code,
        "name": affiliate.name,
        "status": affiliate.status,
        "tax_country": affiliate.tax_country,
        "payout_method": affiliate.payout_method,
        "account_holder": affiliate.payee_name,
        "account": affiliate.payout_hint,
        "joined_at": _moment(affiliate.created_at),
        "entries": [_booked(entry) for entry in entries],
        "payouts": [_booked(payout) for payout in payouts],
    }


def _booked(row: LedgerEntry | Payout) -> Facts:
    what = row.kind if isinstance(row, LedgerEntry) else row.status
    return {
        "what": what,
        "amount": plain_amount(row.amount, row.currency),
        "currency": row.currency,
        "at": _moment(row.created_at),
    }


def _message(row: Email) -> Facts:
    return {
        "about": row.kind,
        "to": row.to,
        "subject": row.subject,
        "sent_at": _moment(row.sent_at),
    }


def _moment(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
