"""The reports in the office: what `manage.py report` says, for staff (requirement R162)."""

from datetime import UTC, datetime

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.formats import date_format
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from operations import reports
from operations.report_sections import Period

PERMISSION = "payments.view_reconciliation"
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


@never_cache
@require_safe
def show(request: HttpRequest) -> HttpResponse:
    """Show the report of the last day, week or month that had ended `before` a day, or by now.

    Raises PermissionDenied without its permission.
    """
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    asked = request.GET.get("period", "")
    kind = asked if asked in reports.SECTIONS else reports.DAILY
    now = timezone.now()
    report = reports.make(reports.last_period(kind, min(now, _day(request) or now)))
    context = {
        **admin.site.each_context(request),
        "title": f"{kind.capitalize()} report: {days_of(report.period)}",
        "report": report,
        "kinds": list(reports.SECTIONS),
        "is_latest": report.period == reports.last_period(kind, now),
    }
    return render(request, "admin/reports.html", context)


def days_of(period: Period) -> str:
    first, last = (date_format(each, "M j, Y") for each in (period.since, period.last))
    return first if first == last else f"{first} to {last}"


def _day(request: HttpRequest) -> datetime | None:
    """Return the midnight in UTC that begins the day in the address; None for what is none."""
    try:
        day = datetime.strptime(request.GET.get("before", ""), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return day if day >= EARLIEST else None
