from typing import Any

from django.http import HttpRequest

from accounts.models import User
from api.callers import may_as_staff
from api.errors import InvalidInput
from api.fields import Cursor, Limit
from api.operations import operation
from api.shapes import Amount, EnrollmentPage, pager_of
from api.terms import SIGNED_IN, Terms
from enrollments.models import Enrollment
from maaledu.paging import DEFAULT_LIMIT, BadCursor, paginate

SEE_ALL = "enrollments.view_enrollment"
TERMS = Terms(who=SIGNED_IN, scope="enrollments:read", refusals=(BadCursor, InvalidInput))


@operation("GET", "enrollments", terms=TERMS, answers={200: EnrollmentPage})
def list_enrollments(
    request: HttpRequest, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = ""
) -> dict[str, Any]:
    """List one's own enrollments, or all of them for staff who may see them; the newest first."""
    user: User = request.user  # type: ignore[assignment]
    rows, own = Enrollment.objects.all(), user.verified_emails()
    if not may_as_staff(request, SEE_ALL):
        rows = rows.filter(email__in=own)
    page = paginate(rows, cursor=cursor, limit=limit)
    return {"enrollments": [_item(row, own) for row in page.rows], **pager_of(page)}


def _item(enrollment: Enrollment, own: list[str]) -> dict[str, Any]:
    is_own = enrollment.email in own
    return {
        "enrollment_id": enrollment.pk,
        "course_id": enrollment.course_slug,
        "course_title": enrollment.course_title,
        "email": enrollment.email,
        "kind": enrollment.kind,
        "status": enrollment.status,
        "lms_platform": enrollment.lms_platform,
        "lms_status": enrollment.lms_status,
        "progress_percent": enrollment.progress_percent,
        "list_price": Amount.of(enrollment.list_price, enrollment.currency),
        "amount": Amount.of(enrollment.amount, enrollment.currency),
        "currency": enrollment.currency,
        "created_at": enrollment.created_at,
        "paid_at": enrollment.paid_at,
        "status_url": enrollment.status_link if is_own else None,
        "course_url": enrollment.course_link if is_own and enrollment.has_access else None,
    }
