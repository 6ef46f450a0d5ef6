"""Whether those who paid have access: how many by state, and who has none, with what to do."""

from collections.abc import Iterator

from django.conf import settings
from django.template.defaultfilters import pluralize
from django.urls import reverse
from django.utils import timezone

from enrollments.models import Enrollment
from lms_sync.models import DeadLetter
from maaledu.diagnosis import Result
from maaledu.logs import Redactor
from operations import figures, tallies

MOST_NAMED = 20


def buyers_have_access() -> Iterator[Result]:
    """Count the enrollments by status, the paid ones by access, and name the dead letters, the
    oldest first, without their learners.
    """
    counts = figures.ENROLLMENTS.current(timezone.now())
    by_status = tallies.counted(counts, by=lambda each: each[1:2])
    by_access = tallies.counted(
        counts, by=lambda each: each[2:] if each[1] == Enrollment.PAID else None
    )
    yield Result("enrollments", ok=True, message=_listed(by_status) or "none yet")
    yield Result("paid ones, by access", ok=True, message=_listed(by_access) or "none yet")
    letters = DeadLetter.objects.open().select_related("job").order_by("created_at")
    yield from map(_dead_letter, letters[:MOST_NAMED])
    more = letters.count() - MOST_NAMED
    if more > 0:
        waits = f"letter{pluralize(more)} {pluralize(more, 'waits,wait')}"
        said = f"{more} more dead {waits} in the office."
        yield Result("dead letters", ok=False, message=said)


def _listed(counts: list[tuple[tuple[str, ...], int]]) -> str:
    return ", ".join(f"{state or 'none'} {number}" for (state,), number in counts)


def _dead_letter(letter: DeadLetter) -> Result:
    job, page = letter.job, reverse("admin:lms_sync_deadletter_change", args=[letter.pk])
    reason = Redactor().text(letter.last_error or letter.reason)
    return Result(
        f"dead letter of {letter.created_at:%Y-%m-%d %H:%M} UTC",
        ok=False,
        message=(
            f"{job.get_action_display()} in {job.course_id} ({job.platform}), after"
            f" {letter.attempts} attempts: {reason}"
        ),
        advice=f"Mend what it says, then replay it: {settings.SITE_URL}{page}",
    )
