"""What a course has cost so far, as the change log knows it: from what to what, by whom, when."""

from django.template.loader import render_to_string

from accounts.models import AuditEntry
from courses.models import Course

LABEL = "Price"
MOST_READ, MOST_SHOWN = 200, 20


def price_history(course: Course) -> str:
    """Return the changes of its price, the newest first, for its page in the office."""
    changes = price_changes(course)[:MOST_SHOWN]
    return render_to_string("admin/courses/price_history.html", {"changes": changes})


def price_changes(course: Course) -> list[dict[str, object]]:
    of_course = AuditEntry.objects.filter(row_id=str(course.pk))
    entries = of_course.order_by("-created_at")[:MOST_READ]
    return [
        {"at": entry.created_at, "by": entry.actor, "before": before, "after": after}
        for entry in entries
        for label, before, after in entry.changes
        if label == LABEL
    ]
