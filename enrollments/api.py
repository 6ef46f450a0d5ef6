"""JSON endpoints: parse, call one function, answer."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from enrollments import checkout, referring, stripe_gateway, webhooks
from enrollments.coupon_limits import count_coupon_check
from enrollments.forms import CheckoutForm
from grants import refusals
from maaledu.http import limit, read_body, read_json


@require_POST
@limit("checkout")
def start_checkout(request: HttpRequest) -> HttpResponse:
    """`{"courseId", "email", "name"?, "referralCode"?, "acceptTerms"}` -> where to pay. Everything else in the body is ignored.

    The status page's address opens a place to whoever has it, so it is told only to who has just begun the checkout.
    """
    body = read_json(request)
    fields = {"email": "email", "name": "name", "coupon": "couponCode", "accept_terms": "acceptTerms"}
    form = CheckoutForm({field: body.get(name) for field, name in fields.items()})
    if not form.is_valid():
        raise form.refusal()
    slug = body.get("courseId")
    if form.cleaned_data["coupon"]:
        count_coupon_check(request, {name: form.cleaned_data[name] for name in ("email", "coupon")})
    click = referring.click_named(request, body.get("referralCode"))
    with refusals.counted():
        started = checkout.start(slug=slug if isinstance(slug, str) else "", click=click, **buyer_of(form))
    answer = {"url": started.url, "enrollmentId": str(started.enrollment.pk)}
    if not started.is_resumed:
        answer["statusUrl"] = started.enrollment.status_link
    return JsonResponse(answer, status=201)


def buyer_of(form: CheckoutForm) -> dict[str, Any]:
    return {name: form.cleaned_data[name] for name in ("email", "name", "coupon")}


@csrf_exempt  # the one exemption: Stripe signs the body instead
@require_POST
def stripe_webhook(request: HttpRequest) -> HttpResponse:
    """Answer 200 for every event that is stored, seen before, or of no concern; 400 for what Stripe did not sign."""
    body = read_body(request)
    event = stripe_gateway.read_event(body, request.headers.get("Stripe-Signature", ""))
    message = webhooks.receive(event)
    return JsonResponse({"success": True, "message": message, "eventId": event["id"]})
