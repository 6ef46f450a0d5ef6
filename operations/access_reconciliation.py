"""The comparison with each LMS as it is run each night and by hand: whom it alerts, and of what."""

from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.db.models import Count
from django.urls import reverse
from django.utils import timezone

from courses.models import connected_platforms
from enrollments.access_comparison import compare
from enrollments.errors import AccessNotCompared
from enrollments.models import AccessComparison, AccessDifference
from maaledu.db import atomic
from notifications.alerts import alert_staff

LATE_AFTER = timedelta(days=2)
MOST_NAMED = 20
# From this many on, and this part of all, it is rather the LMS or our settings than the learners.
MANY, PART_OF_MANY = 20, 10
SO_MANY = (
    "So many at once: was a backup of the learning platform restored, or does our address of it"
    " lead to another one? Look at that before anything is repaired."
)


def run_and_alert(platforms: Iterable[str] | None = None) -> list[AccessComparison]:
    """Compare each platform with our enrollments; alert staff once of what is new, or was not done.

    One that does not answer says so in its `failure`, and stops no other.
    """
    found = [compare(name) for name in (platforms or connected_platforms())]
    for each in found:
        _alert_of_new(each)
        _alert_if_late(each)
    return found


def run_nightly() -> int:
    """Compare as each night, and return how many differences are new.

    Raises AccessNotCompared in the end, where a platform could not be asked about everything.
    """
    found = run_and_alert()
    failures = [f"{each.platform}: {each.failure}" for each in found if each.failure]
    if failures:
        raise AccessNotCompared(" ".join(failures))
    return sum(each.counts.get(AccessComparison.NEW, 0) for each in found)


def open_counts(platform: str) -> dict[str, int]:
    """Return how many differences of a platform are open, by what differs in words."""
    rows = AccessDifference.objects.open().filter(platform=platform).order_by()
    counts = {row["kind"]: row["rows"] for row in rows.values("kind").annotate(rows=Count("pk"))}
    return {words: counts[kind] for kind, words in AccessDifference.KINDS if kind in counts}


@atomic
def _alert_of_new(found: AccessComparison) -> None:
    new = AccessDifference.objects.open().filter(platform=found.platform, alerted_at=None)
    rows = list(new.select_related("enrollment").order_by("pk")[:MOST_NAMED])
    number, now = new.count(), timezone.now()
    if not rows or new.update(alerted_at=now, updated_at=now) == 0:
        return
    is_many = number >= MANY and number * PART_OF_MANY > found.looked_at
    lines = [
        f"{number} new on {found.platform}. Open: {_in_words(open_counts(found.platform))}.",
        *(
            f"{row.get_kind_display().capitalize()}: {row.enrollment.email} in {row.course_id}"
            for row in rows
        ),
        SO_MANY if is_many else "",
        f"Each with its repair: {page_url()}",
    ]
    alert_staff(
        # What was alerted once is not new any more: the moment makes the key this alert's own.
        key=f"access-differs:{found.platform}:{now:%Y%m%d%H%M%S%f}",
        subject="Our enrollments and a learning platform's differ",
        lines=[line for line in lines if line],
    )


def _in_words(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {words}" for words, number in counts.items())


def page_url() -> str:
    return settings.SITE_URL + reverse("admin:enrollments_accessdifference_changelist")


def _alert_if_late(found: AccessComparison) -> None:
    """Alert once that a platform was not compared to the end for days."""
    since = found.finished_before_at or found.started_at
    if found.finished_at or timezone.now() - since < LATE_AFTER:
        return
    alert_staff(
        key=f"access-not-compared:{found.platform}:{since:%Y%m%d%H%M}",
        subject="A learning platform could not be compared with our enrollments for days",
        lines=[
            f"{found.platform}: not since {since:%Y-%m-%d %H:%M} UTC. {found.failure}",
            "Whoever lost access there meanwhile is not noticed; each night it goes on.",
            f"Run `manage.py lms_check --platform {found.platform}`, then `reconcile_lms`.",
        ],
    )
