"""Stripe's webhook: read the signed event, receive it, answer."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from maaledu import metrics
from maaledu.http import read_body
from payments import deliveries, webhook_problems, webhooks
from payments.errors import InvalidSignature


@csrf_exempt  # the one exemption: Stripe signs the body instead
@require_POST
def stripe_webhook(request: HttpRequest) -> HttpResponse:
    """Answer 200 for an event that is stored, known or ignored, and 400 for a body not Stripe's."""
    body = read_body(request)
    try:
        event = deliveries.read_event(body, request.headers.get("Stripe-Signature", ""))
    except InvalidSignature as error:
        webhook_problems.note_bad_signature(error)
        raise
    message = webhooks.receive(event)
    if message in webhooks.KNOWN_ALREADY:
        metrics.SKIPS.labels(message).inc()
    return JsonResponse({"success": True, "message": message, "eventId": event["id"]})
