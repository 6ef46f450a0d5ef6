import hashlib
import hmac
import json

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from bench.bare.models import Message

SECRET = b"whsec_sandbox"


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    return render(request, "bare.html", {"title": "A bare page"})


@csrf_exempt
@require_POST
def write(request: HttpRequest) -> HttpResponse:
    """Verify the signature of the body and commit one INSERT."""
    moment, _, given = (
        request.headers.get("Stripe-Signature", "").removeprefix("t=").partition(",v1=")
    )
    expected = hmac.new(SECRET, moment.encode() + b"." + request.body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, given):
        return JsonResponse({"error": "signature"}, status=400)
    body = json.loads(request.body)
    Message.objects.create(event_id=body["id"], body=body)
    return JsonResponse({"success": True})
