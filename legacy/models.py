"""What was brought over from the old platform: which row became what, in which run."""

from django.db import models
from django.utils import timezone
from django.utils.formats import date_format

from affiliates.models import Affiliate
from legacy.facts import OUTCOMES
from maaledu.db import new_id
from maaledu.money import CURRENCY_CHOICES
from maaledu.unions import BEGINS


class ImportRun(models.Model):
    """One run that wrote: unfinished as long as `finished_at` is empty, and resumed then."""

    APPLY, FINAL = "apply", "final"
    KINDS = [(APPLY, "applied"), (FINAL, "final")]

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=10, choices=KINDS)
    source = models.CharField(max_length=300, help_text="Where it was read from.")
    report_hash = models.CharField(max_length=64, help_text="Of the report, which names each row.")
    backup_id = models.CharField(
        max_length=200, blank=True, help_text="The backup from before the final run."
    )
    exported_at = models.DateTimeField(help_text="How old the source is.")
    summary = models.JSONField(default=dict, blank=True)
    has_changed_rows = models.BooleanField(
        default=False, help_text="It changed rows of an earlier run, which cannot be taken back."
    )
    started_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True)
    undone_at = models.DateTimeField(
        null=True, blank=True, help_text="Its rows are being deleted; then it is gone as well."
    )

    class Meta:
        verbose_name = "import run"
        indexes = [models.Index(fields=["-started_at"]), models.Index(fields=["kind"])]

    def __str__(self) -> str:
        began = date_format(timezone.localtime(self.started_at), "DATETIME_FORMAT")
        return f"{self.get_kind_display()} {began}"


class ImportedRow(models.Model):
    """One row of the old database, its one outcome, and what was written for it.

    This is where "imported already" is asked, never of what was written: that may have been changed
    or cleaned up since. A commission that was booked has a row of its own, under another role.
    """

    ROW, COMMISSION, PAID_BEFORE = "row", "commission", "paid_before"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    collection = models.CharField(max_length=80)
    source_id = models.CharField("old id", max_length=120)
    role = models.CharField(max_length=20, default=ROW)
    outcome = models.CharField(max_length=10, choices=[(each, each) for each in OUTCOMES])
    reason = models.CharField(max_length=60, blank=True)
    notes = models.CharField(max_length=300, blank=True)
    into = models.CharField(
        max_length=120, blank=True, help_text="The old row that this one was merged into."
    )
    target = models.CharField(max_length=80, blank=True, help_text="The table of what it became.")
    target_id = models.UUIDField(null=True, blank=True, db_index=True)
    targets = models.JSONField(
        default=list, blank=True, help_text="Table and key of each row that was written for it."
    )
    amount = models.BigIntegerField(
        null=True, blank=True, help_text="Minor units that were booked, of a role of the ledger."
    )
    source_hash = models.CharField(max_length=64, help_text="Of the whole old document.")
    content_hash = models.CharField(
        max_length=64, blank=True, help_text="Of all that was written for it."
    )
    target_hash = models.CharField(
        max_length=64, blank=True, help_text="Of what people change: it says who changed it since."
    )
    document = models.TextField(
        blank=True, help_text="The old document, without passwords and tokens, until --forget."
    )
    run = models.ForeignKey(
        ImportRun, on_delete=models.PROTECT, related_name="rows", help_text="The run that made it."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "imported row"
        constraints = [
            models.UniqueConstraint(
                fields=["collection", "source_id", "role"], name="one_row_per_old_row_and_role"
            ),
        ]
        indexes = [
            models.Index(fields=["outcome", "reason", "collection"]),
            models.Index(fields=["-created_at"]),
            models.Index(fields=["source_id"]),
        ]

    def __str__(self) -> str:
        return f"{self.collection} {self.source_id}"


class ImportProposal(models.Model):
    """A commission or a balance that the old shop had wrong: staff accept or refuse a correction.

    Nothing of it is booked by the import itself.
    """

    OPEN, ACCEPTED, REFUSED = "open", "accepted", "refused"
    TRANSITIONS = {OPEN: [], ACCEPTED: [OPEN], REFUSED: [OPEN]}
    KINDS = [
        ("commission_discounted_base", "commission on the discounted price"),
        ("commission_odd", "commission that no price explains"),
        ("commission_unprocessed", "commission that was never processed"),
        ("commission_without_amount", "commission without an amount"),
        ("unknown_affiliate", "commission of an affiliate nobody knows"),
        ("paid_more_than_earned", "paid out more than was earned"),
    ]

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=30, choices=KINDS)
    key = models.CharField(max_length=120, unique=True, help_text="Its old row.")
    affiliate = models.ForeignKey(
        Affiliate, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    named = models.CharField(max_length=254, blank=True, help_text="Whom the old shop named.")
    enrollment_id = models.UUIDField(null=True, blank=True, db_index=True)
    booked = models.BigIntegerField(default=0, help_text="Minor units, as the old shop stored it.")
    difference = models.BigIntegerField(help_text="Minor units; plus is owed to the affiliate.")
    currency = models.CharField(max_length=3, choices=CURRENCY_CHOICES)
    status = models.CharField(
        max_length=10, choices=[(each, each) for each in TRANSITIONS], default=OPEN
    )
    decided_by = models.CharField(max_length=254, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "import proposal"
        indexes = [
            models.Index(fields=["status", "kind"]),
            models.Index(fields=["-created_at"]),
            models.Index(fields=["named"], name="proposal_named_begins", opclasses=BEGINS),
        ]
        permissions = (("decide_importproposal", "Can accept and refuse proposals of the import"),)

    def __str__(self) -> str:
        return f"{self.get_kind_display()} ({self.status})"
