from django.db import models
from django.utils import timezone

from courses.models import Course
from enrollments.models.enrollment import Enrollment, choices_of
from maaledu.db import new_id
from maaledu.unions import BEGINS
from maaledu.work.items import WorkItem


class EnrollmentBatch(models.Model):
    """A list of learners for one course, whose enrollments somebody else answers for.

    A draft holds the file as it was read and nobody is enrolled by it: it is the dry run. Its rows
    are written when it is started.
    """

    DRAFT, STARTED, STOPPED, DISCARDED = "draft", "started", "stopped", "discarded"
    TRANSITIONS = {STARTED: [DRAFT], STOPPED: [STARTED], DISCARDED: [DRAFT], DRAFT: [DISCARDED]}
    WITH_ROWS = (STARTED, STOPPED)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    course = models.ForeignKey(Course, on_delete=models.PROTECT, related_name="batches")
    reason = models.CharField(max_length=300)
    payer = models.CharField(max_length=140, help_text="Who pays for the enrollments, or answers.")
    digest = models.CharField(
        max_length=64,
        unique=True,
        help_text="Of course, rows, reason and payer: the same list is one batch.",
    )
    source = models.JSONField(
        default=list, blank=True, help_text="The lines of a draft: number, e-mail, name."
    )
    status = models.CharField(
        max_length=10, choices=choices_of(DRAFT, STARTED, STOPPED, DISCARDED), default=DRAFT
    )
    drafted_by = models.CharField(max_length=254)
    started_by = models.CharField(max_length=254, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "enrollment batch"
        verbose_name_plural = "enrollment batches"
        indexes = [models.Index(fields=["-created_at"])]
        permissions = (("enroll_enrollmentbatch", "Can enroll many learners at once"),)

    def __str__(self) -> str:
        return f"{self.course} for {self.payer}"


class BatchRow(WorkItem):
    """One line of a started batch: it is enrolled, or its problem says why not."""

    ADDRESS, NAME, DUPLICATE = "address", "name", "duplicate"
    ENROLLED, IN_CHECKOUT, STOPPED = "enrolled", "in_checkout", "stopped"
    PROBLEMS = [
        (ADDRESS, "not an e-mail address"),
        (NAME, "the name is too long or no plain text"),
        (DUPLICATE, "the address is in the file already"),
        (ENROLLED, "already enrolled"),
        (IN_CHECKOUT, "is paying for it just now"),
        (STOPPED, "the batch was stopped before it was their turn"),
    ]

    batch = models.ForeignKey(EnrollmentBatch, on_delete=models.PROTECT, related_name="+")
    number = models.PositiveIntegerField("line")
    platform = models.CharField(max_length=20)
    address = models.CharField(max_length=254, help_text="As in the file, where it is none.")
    name = models.CharField(max_length=140, blank=True)
    problem = models.CharField(max_length=20, choices=PROBLEMS, blank=True)
    enrollment = models.OneToOneField(
        Enrollment, on_delete=models.PROTECT, null=True, blank=True, related_name="batch_row"
    )

    class Meta(WorkItem.Meta):
        verbose_name = "row of a batch"
        verbose_name_plural = "rows of batches"
        constraints = [
            models.UniqueConstraint(fields=["batch", "number"], name="one_row_per_line"),
        ]
        indexes = [
            *WorkItem.Meta.indexes,
            models.Index(fields=["batch", "status"]),
            models.Index(fields=["address"], name="batch_row_address_begins", opclasses=BEGINS),
        ]
        permissions = (("replay_batchrow", "Can retry and replay rows of batches"),)

    def __str__(self) -> str:
        return f"line {self.number}: {self.address}"
