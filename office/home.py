"""What the office's first page says about access: who has paid and has none, and what differs."""

from typing import Any

from django.db.models import Count
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from courses.models import Course
from enrollments.models import AccessComparison, AccessDifference, Enrollment
from office.access_differences import last_compared

PERMISSION = "enrollments.view_accessdifference"
WHY = {
    Enrollment.LMS_LOST: "lost in the LMS",
    Enrollment.LMS_FAILED: "refused by the LMS",
    Enrollment.LMS_RETRYING: "tried again",
    Enrollment.LMS_PENDING: "waiting",
}


def add_figures(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the figures of access, for those who may look at them."""
    return {**context, "access": access()} if request.user.has_perm(PERMISSION) else context


def access() -> dict[str, Any]:
    rows = Enrollment.objects.without_access(timezone.now()).order_by().values("lms_status")
    found = {row["lms_status"]: row["number"] for row in rows.annotate(number=Count("pk"))}
    enrollments = reverse("admin:enrollments_enrollment_changelist")
    reasons = [
        (f"{enrollments}?status__exact=paid&lms_status__exact={status}", words, found[status])
        for status, words in WHY.items()
        if status in found
    ]
    return {
        "without": sum(found.values()),
        "reasons": reasons,
        "differences": _differences(),
        "compared": [
            (Course.Platform(row.platform).label, *last_compared(row))
            for row in AccessComparison.objects.order_by("platform")
        ],
    }


def _differences() -> list[tuple[str, str, int]]:
    """Return link, words and number of each kind of open difference."""
    page = reverse("admin:enrollments_accessdifference_changelist")
    rows = AccessDifference.objects.open().order_by().values("kind")
    found = {row["kind"]: row["number"] for row in rows.annotate(number=Count("pk"))}
    return [
        (f"{page}?status__exact=open&kind__exact={kind}", words.capitalize(), found.get(kind, 0))
        for kind, words in AccessDifference.KINDS
    ]
