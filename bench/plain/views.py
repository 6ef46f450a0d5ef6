"""The plain views that the product's checkout and webhook are compared with.

They send the same statements in the same transaction and make the same call to Stripe. The forms
and the queries are what a Django tutorial would write; there is no rule, no limit, no retry and no
log line. A test compares the statements with the product's.
"""

import json
from contextlib import suppress

import stripe
from django import forms
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from courses.models import Course
from enrollments.models import Enrollment, EnrollmentEvent
from lms_sync.models import SyncJob
from maaledu.db import new_id
from payments import checkout_sessions, gateway
from payments.models import Payment, StripeEvent


class CheckoutForm(forms.Form):
    email = forms.EmailField()
    name = forms.CharField(max_length=140, required=False)
    coupon = forms.CharField(max_length=40, required=False)
    accept_terms = forms.BooleanField()


@require_POST
def checkout(request: HttpRequest, slug: str) -> HttpResponse:
    """Sell a course: two SELECTs, two INSERTs in a transaction, a session, one UPDATE."""
    form = CheckoutForm(request.POST)
    if not form.is_valid():
        return HttpResponse(status=400)
    email, name = form.cleaned_data["email"], form.cleaned_data["name"]
    on_sale = Course.objects.filter(Q(status=Course.Status.PUBLISHED), lms_platform__in=["frappe"])
    course = get_object_or_404(on_sale, slug=slug)
    live = Enrollment.objects.filter(Q(status__in=["pending", "paid"]), course=course)
    with suppress(Enrollment.DoesNotExist):
        live.get(email=email)
        return HttpResponse(status=409)
    with transaction.atomic():
        enrollment = _new_enrollment(course, email, name)
        enrollment.save(force_insert=True)
        payment = _new_payment(enrollment)
        payment.save(force_insert=True)
    session = gateway.client().v1.checkout.sessions.create(
        checkout_sessions.session_params(enrollment, payment),
        {"idempotency_key": payment.idempotency_key},
    )
    Payment.objects.filter(pk=payment.pk, status__in=[*Payment.OPEN, Payment.PAID]).update(
        stripe_session_id=session["id"], checkout_url=session["url"], updated_at=timezone.now()
    )
    return redirect(session["url"])


def _new_enrollment(course: Course, email: str, name: str) -> Enrollment:
    return Enrollment(
        course=course,
        email=email,
        name=name,
        kind=Enrollment.KIND_PAID,
        course_title=course.title,
        course_slug=course.slug,
        lms_platform=course.lms_platform,
        lms_course_id=course.lms_course_id,
        list_price=course.price,
        amount=course.price,
        currency=course.currency,
    )


def _new_payment(enrollment: Enrollment) -> Payment:
    key = new_id()
    return Payment(
        id=key,
        enrollment=enrollment,
        amount=enrollment.amount,
        currency=enrollment.currency,
        idempotency_key=f"checkout-{key}",
        expires_at=timezone.now().replace(microsecond=0) + settings.STRIPE_SESSION_LIFETIME,
    )


@csrf_exempt
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """Fulfill a paid session: one SELECT, three INSERTs and two UPDATEs in a transaction."""
    stripe.WebhookSignature.verify_header(
        request.body.decode(),
        request.headers["Stripe-Signature"],
        settings.STRIPE_WEBHOOK_SECRETS[0],
        int(settings.STRIPE_SIGNATURE_TOLERANCE.total_seconds()),
    )
    event = json.loads(request.body)
    with transaction.atomic():
        _apply(event, event["data"]["object"])
    return JsonResponse({"success": True, "message": "Event processed", "eventId": event["id"]})


def _apply(event: dict, session: dict) -> None:
    StripeEvent(
        event_id=event["id"],
        type=event["type"],
        livemode=event["livemode"],
        api_version=event["api_version"],
        session_id=session["id"],
        payload=event,
        outcome="Event processed",
        status="done",
        fence=1,
        finished_at=timezone.now(),
    ).save(force_insert=True)
    payment = Payment.objects.select_related("enrollment").get(pk=session["metadata"]["payment_id"])
    Payment.objects.filter(pk=payment.pk, status__in=Payment.TRANSITIONS[Payment.PAID]).update(
        status=Payment.PAID,
        updated_at=timezone.now(),
        review_reason="",
        paid_at=timezone.now(),
        amount_received=session["amount_total"],
        currency_received=session["currency"],
        stripe_payment_intent_id=session["payment_intent"],
        stripe_session_id=session["id"],
    )
    _fulfill(payment.enrollment, session["payment_intent"], event["id"])


def _fulfill(enrollment: Enrollment, payment_intent: str, actor: str) -> None:
    now = timezone.now()
    Enrollment.objects.filter(
        pk=enrollment.pk, status__in=Enrollment.TRANSITIONS[Enrollment.PAID]
    ).update(
        status=Enrollment.PAID,
        updated_at=now,
        paid_at=now,
        failure_code="",
        payment_reference=payment_intent,
    )
    EnrollmentEvent.objects.create(
        enrollment=enrollment,
        from_status=enrollment.status,
        to_status=Enrollment.PAID,
        actor=actor,
    )
    SyncJob(
        dedupe_key=f"enroll:{enrollment.pk}",
        action="enroll",
        platform=enrollment.lms_platform,
        email=enrollment.email,
        full_name=enrollment.name,
        course_id=enrollment.lms_course_id,
        payload=_job_payload(enrollment, payment_intent),
    ).save(force_insert=True)


def _job_payload(enrollment: Enrollment, payment_intent: str) -> dict:
    return {
        "enrollment_id": str(enrollment.pk),
        "course": str(enrollment.course_id),
        "payment_id": payment_intent,
        "amount": enrollment.amount,
        "currency": enrollment.currency,
        "original_amount": enrollment.list_price,
        "discount_percentage": 0,
        "grant_id": "",
        "enrollment_type": enrollment.kind,
        "referral_code": "",
    }
