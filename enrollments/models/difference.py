"""Where what was paid for and the enrollments in an LMS differ, and how far each comparison has
come.
"""

from datetime import datetime, timedelta

from django.db import models
from django.utils import timezone

from enrollments.models.enrollment import Enrollment
from maaledu.db import new_id

RESUMABLE_FOR = timedelta(days=2)


class AccessDifferenceQuerySet(models.QuerySet["AccessDifference"]):
    def open(self) -> "AccessDifferenceQuerySet":
        return self.filter(status=AccessDifference.OPEN)

    def unsettled(self) -> "AccessDifferenceQuerySet":
        return self.filter(status__in=AccessDifference.UNSETTLED)


class AccessDifference(models.Model):
    """One enrollment about which we and the LMS disagree, until both agree again.

    `rows` is what the LMS showed: the id and course of each enrollment there, whether we made it,
    whether there is work in it, whether a batch of the LMS's own made it, and what it lacks.
    """

    MISSING, UNPAID, ELSEWHERE, DOUBLE = "missing", "unpaid", "elsewhere", "double"
    LESS = "less"
    KINDS = [
        (MISSING, "paid without access"),
        (LESS, "less than was paid for"),
        (UNPAID, "access without a paid enrollment"),
        (ELSEWHERE, "different course"),
        (DOUBLE, "duplicate"),
    ]
    WITHOUT_ACCESS = [MISSING, LESS, ELSEWHERE]
    OPEN, REPAIRING, LEFT, SETTLED = "open", "repairing", "left", "settled"
    UNSETTLED = [OPEN, REPAIRING, LEFT]
    TRANSITIONS = {
        # Found again. What staff have left as it is stays so.
        OPEN: [REPAIRING, SETTLED],
        REPAIRING: [OPEN, LEFT],
        LEFT: [OPEN],
        SETTLED: [OPEN, REPAIRING, LEFT],
    }
    STATUSES = [
        (OPEN, "open"),
        (REPAIRING, "being repaired"),
        (LEFT, "left as it is"),
        (SETTLED, "settled"),
    ]

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    enrollment = models.ForeignKey(
        Enrollment, on_delete=models.PROTECT, related_name="access_differences"
    )
    kind = models.CharField("what differs", max_length=10, choices=KINDS)
    platform = models.CharField(max_length=20)
    course_id = models.CharField("LMS course", max_length=255)
    rows = models.JSONField(default=list, blank=True)
    status = models.CharField(max_length=10, choices=STATUSES, default=OPEN)
    repairs = models.PositiveIntegerField(default=0, help_text="How often a repair was begun.")
    opened_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(
        default=timezone.now, help_text="When the LMS showed it last, at a comparison."
    )
    reason = models.CharField(max_length=300, blank=True, help_text="Why it was left as it is.")
    alerted_at = models.DateTimeField(
        null=True, blank=True, help_text="When staff were alerted of it, since it was opened last."
    )
    decided_by = models.CharField(max_length=254, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = AccessDifferenceQuerySet.as_manager()

    class Meta:
        verbose_name = "difference of access"
        verbose_name_plural = "differences of access"
        constraints = [
            models.UniqueConstraint(fields=["enrollment", "kind"], name="one_difference_of_a_kind"),
        ]
        indexes = [
            models.Index(fields=["status", "kind"]),
            models.Index(fields=["platform", "status", "seen_at"]),
            models.Index(fields=["-opened_at"]),
            models.Index(fields=["course_id"]),
        ]
        permissions = (("repair_accessdifference", "Can repair differences of access"),)

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.course_id}"


class AccessComparison(models.Model):
    """The last comparison of one LMS with our enrollments: how far it came, and what it found.

    One that was cut off is without `finished_at`, and the next one goes on after `after`.
    """

    PAID, ENDED, UNSEEN = "paid", "ended", "unseen"
    # Paid enrollments, those that have ended, and what was found before and not come across now.
    PHASES = [
        (PAID, "paid enrollments"),
        (ENDED, "ended enrollments"),
        (UNSEEN, "earlier differences"),
    ]
    AGREES, WAITS, NEW = "agrees", "waits", "new"
    WORDS = [
        (AGREES, "agreed"),
        *AccessDifference.KINDS,
        (WAITS, "not clear yet"),
        (NEW, "not known before"),
    ]

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    platform = models.CharField(max_length=20, unique=True)
    phase = models.CharField(max_length=10, choices=PHASES, default=PAID)
    after = models.UUIDField(
        null=True, blank=True, help_text="The last enrollment of the last page that was done."
    )
    pages = models.PositiveIntegerField(
        default=0, help_text="Of all comparisons: two at a time do not write over each other."
    )
    looked_at = models.PositiveIntegerField(default=0)
    counts = models.JSONField(
        default=dict,
        blank=True,
        help_text=(
            "How many agree, cannot be judged now (mostly a job is on its way), or differ, by kind;"
            " and how many of those that differ were not known before."
        ),
    )
    failure = models.CharField(max_length=600, blank=True, help_text="What cut it off.")
    started_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True)
    finished_before_at = models.DateTimeField(
        null=True, blank=True, help_text="When the one before this was finished."
    )

    class Meta:
        verbose_name = "comparison of access"
        verbose_name_plural = "comparisons of access"
        indexes = [models.Index(fields=["-started_at"])]

    def __str__(self) -> str:
        return f"{self.platform}: {self.looked_at} looked at, {self.in_words}"

    @property
    def compared_at(self) -> datetime | None:
        """When the platform was last compared to the end."""
        return self.finished_at or self.finished_before_at

    @property
    def in_words(self) -> str:
        numbers = [f"{self.counts.get(name, 0)} {words}" for name, words in self.WORDS]
        return ", ".join(numbers)

    def may_resume(self, now: datetime) -> bool:
        """Whether it was cut off, and not too long ago to go on with."""
        return self.finished_at is None and self.updated_at > now - RESUMABLE_FOR
