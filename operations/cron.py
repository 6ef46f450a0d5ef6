"""Addresses that a scheduler calls with the cron secret."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from grants import redemption
from operations.errors import CronRefused


@csrf_exempt  # called by a scheduler with the cron secret, never by a browser
@require_POST
def expire_grants(request: HttpRequest) -> HttpResponse:
    """Expire the overdue coupons and return how many there were (requirement R064)."""
    sent = request.headers.get("Authorization", "")
    if not settings.CRON_SECRET or not constant_time_compare(
        sent, f"Bearer {settings.CRON_SECRET}"
    ):
        raise CronRefused
    return JsonResponse(
        {
            "success": True,
            "expired": redemption.expire_overdue(),
            "timestamp": timezone.now().isoformat(),
        }
    )
