"""The check of Stripe in the office: what `manage.py stripe_check` says, for staff."""

from operator import attrgetter

from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.defaultfilters import pluralize
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts import audit
from accounts.models import AuditEntry
from operations import stripe_check
from payments.models import WebhookProblem

PERMISSION = "payments.check_webhookproblem"


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def show(request: HttpRequest) -> HttpResponse:
    """Offer the check, and on POST make it and show each result. No result has a secret in it.

    Raises PermissionDenied without its permission.
    """
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    results = list(stripe_check.examine()) if request.method == "POST" else []
    problems = sum(not result.ok for result in results)
    if results:
        _add_history(request, problems)
    context = {
        **admin.site.each_context(request),
        "title": "Check Stripe",
        "results": sorted(results, key=attrgetter("ok")),  # what is wrong comes first
        "problems": problems,
    }
    return render(request, "admin/stripe_check.html", context)


def _add_history(request: HttpRequest, problems: int) -> None:
    """Leave an entry in the admin's history, as a decision of staff does; it is about no row."""
    said = f"checked Stripe: {problems} problem{pluralize(problems)}"
    LogEntry.objects.create(
        user_id=str(request.user.pk),
        content_type=ContentType.objects.get_for_model(WebhookProblem),
        object_repr="Stripe",
        action_flag=CHANGE,
        change_message=said,
    )
    audit.record(AuditEntry.DECIDED, said, by=request.user.get_username())
