import secrets
from datetime import date, datetime
from uuid import UUID

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from courses.models import Course
from maaledu.db import new_id
from maaledu.money import CURRENCY_CHOICES
from maaledu.unions import BEGINS

CODE_LENGTH = 14


def new_token() -> str:
    """Return 192 random bits, which nobody can guess: whoever has the link sees the application."""
    return secrets.token_urlsafe(24)


def choices_of(*values: str) -> list[tuple[str, str]]:
    return [(value, value.replace("_", " ")) for value in values]


class ProgramQuerySet(models.QuerySet["Program"]):
    def announced(self, today: date) -> "ProgramQuerySet":
        """Keep those that applicants are told of, and that still take applications."""
        told = self.filter(is_active=True).exclude(for_whom="")
        return told.filter(Q(closes_on=None) | Q(closes_on__gte=today)).order_by("name")


class Program(models.Model):
    """A budget that pays for grants: an amount, a number of grants, or both.

    What a grant costs is committed when it is approved.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=140, unique=True)
    currency = models.CharField(max_length=3, choices=CURRENCY_CHOICES, default="usd")
    budget_amount = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Minor units; empty: no limit."
    )
    budget_grants = models.PositiveIntegerField(null=True, blank=True, help_text="Empty: no limit.")
    committed_amount = models.PositiveBigIntegerField(default=0, editable=False)
    committed_grants = models.PositiveIntegerField(default=0, editable=False)
    is_active = models.BooleanField(default=True)
    # What applicants read; while `for_whom` is empty they are not told of the program.
    for_whom = models.TextField(max_length=1000, blank=True, default="", db_default="")
    decided_how = models.TextField(max_length=1000, blank=True, default="", db_default="")
    closes_on = models.DateField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ProgramQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["-created_at"])]

    def __str__(self) -> str:
        return self.name

    @property
    def is_used(self) -> bool:
        """Whether a grant was ever paid from it, also one that has released its share.

        That one may be counted again, so the program keeps its currency.
        """
        return self.grants.exists()

    @property
    def amount_left(self) -> int | None:
        return None if self.budget_amount is None else self.budget_amount - self.committed_amount

    @property
    def grants_left(self) -> int | None:
        return None if self.budget_grants is None else self.budget_grants - self.committed_grants

    @property
    def is_used_up(self) -> bool:
        return any(left is not None and left <= 0 for left in (self.amount_left, self.grants_left))

    @property
    def is_overdrawn(self) -> bool:
        return any(left is not None and left < 0 for left in (self.amount_left, self.grants_left))


class GrantQuerySet(models.QuerySet["Grant"]):
    def undecided(self) -> "GrantQuerySet":
        return self.filter(status=Grant.PENDING).order_by("created_at")

    def queue(self) -> "GrantQuerySet":
        """Return the undecided ones in the order in which they are answered, the oldest first."""
        return self.filter(status=Grant.PENDING).order_by("created_at", "pk")

    def unanswered(self, today: date) -> "GrantQuerySet":
        """Keep the applications whose answer is overdue."""
        return self.undecided().filter(answer_due_on__lt=today)

    def unused(self) -> "GrantQuerySet":
        return self.filter(status=Grant.APPROVED)

    def open(self) -> "GrantQuerySet":
        return self.filter(status__in=Grant.OPEN)

    def overdue(self, now: datetime) -> "GrantQuerySet":
        return self.unused().filter(expires_at__lte=now)


class Grant(models.Model):
    """An application for help with a course's price and, once approved, the coupon it became.

    A coupon is bound to one e-mail and one course, good once, and expires. `reserved` holds it for
    one checkout; `redeemed` is for good. Source: decisions, "when a coupon is consumed".
    """

    PENDING, APPROVED, REJECTED = "pending", "approved", "rejected"
    RESERVED, REDEEMED, EXPIRED, REVOKED = "reserved", "redeemed", "expired", "revoked"
    WITHDRAWN = "withdrawn"  # by the applicant, before it was decided
    OPEN = [PENDING, APPROVED, RESERVED]
    TRANSITIONS = {
        PENDING: [],
        # From redeemed only when a free enrollment is rolled back that the LMS refused for good, or
        # staff refund a payment and give its coupon back.
        APPROVED: [PENDING, RESERVED, REDEEMED],
        REJECTED: [PENDING],
        RESERVED: [APPROVED],
        REDEEMED: [RESERVED, APPROVED, EXPIRED],
        EXPIRED: [APPROVED],
        REVOKED: [APPROVED],
        WITHDRAWN: [PENDING],
    }
    REASONS = [
        ("budget", _("The fund for this period is used up")),
        ("criteria", _("The application does not meet the criteria of the program")),
        ("incomplete", _("We need more about the situation to decide")),
        ("other_course", _("Another course fits the stated aim better")),
        ("other", _("Another reason, given in the note")),
    ]

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    token = models.CharField(max_length=40, unique=True, default=new_token, editable=False)
    course = models.ForeignKey(Course, on_delete=models.PROTECT, related_name="grants")
    program = models.ForeignKey(
        Program, on_delete=models.PROTECT, null=True, blank=True, related_name="grants"
    )
    email = models.EmailField(max_length=140)
    name = models.CharField(max_length=140)
    situation = models.TextField(max_length=4000)
    motivation = models.TextField(max_length=4000)
    consented_at = models.DateTimeField()
    answer_due_on = models.DateField()
    status = models.CharField(max_length=20, choices=choices_of(*TRANSITIONS), default=PENDING)
    percent = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(10), MaxValueValidator(100)]
    )
    code = models.CharField(max_length=24, unique=True, null=True, blank=True)
    code_number = models.PositiveSmallIntegerField(
        default=0, help_text="How many codes this grant has had."
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    price_at_approval = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Minor units."
    )
    currency = models.CharField(max_length=3, choices=CURRENCY_CHOICES)
    committed_amount = models.PositiveBigIntegerField(
        default=0, help_text="Minor units held from the program's budget."
    )
    holds_budget = models.BooleanField(
        default=False, help_text="Whether its program counts it: its amount, and one grant."
    )
    reject_reason = models.CharField(max_length=20, blank=True, choices=REASONS)
    note = models.CharField(max_length=500, blank=True)
    decided_by = models.CharField(max_length=140, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    enrollment_id = models.UUIDField(
        null=True, blank=True, unique=True, help_text="The enrollment that holds or used it."
    )
    reserved_at = models.DateTimeField(null=True, blank=True)
    reserved_until = models.DateTimeField(null=True, blank=True)
    redeemed_at = models.DateTimeField(null=True, blank=True)
    redeemed_by = models.CharField(max_length=140, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = GrantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["course", "email"],
                condition=Q(status__in=["pending", "approved", "reserved"]),
                name="one_open_grant",
            ),
        ]
        indexes = [
            models.Index(fields=["status", "created_at"]),
            models.Index(fields=["status", "expires_at"]),
            models.Index(fields=["email"], name="grant_email_begins", opclasses=BEGINS),
            models.Index(fields=["-created_at"]),
            models.Index(fields=["updated_at"]),
            models.Index(fields=["name"], name="grant_name_begins", opclasses=BEGINS),
            models.Index(fields=["reject_reason", "created_at"]),
        ]
        permissions = (
            ("decide_grant", "Can approve, reject and change grants"),
            ("export_grant", "Can export grants"),
        )

    def __str__(self) -> str:
        return f"{self.name}, {self.email} ({self.status})"

    @property
    def is_free(self) -> bool:
        return self.percent == 100


class GrantEventQuerySet(models.QuerySet["GrantEvent"]):
    def record(self, grant_id: UUID, what: str, *, by: str, note: str = "") -> "GrantEvent":
        """Write one event, cut to the lengths of its columns."""
        return self.create(grant_id=grant_id, what=what[:40], actor=by[:140], note=note[:500])


class GrantEvent(models.Model):
    """One row for each decision on a grant and each move of it: what, by whom, why. Insert only.

    The coupon of a free enrollment is reserved and redeemed in one move, which is one row.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    grant = models.ForeignKey(Grant, on_delete=models.PROTECT, related_name="events")
    what = models.CharField(max_length=40)
    actor = models.CharField(max_length=140)
    note = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = GrantEventQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["-created_at"])]
        ordering = ["created_at"]

    def __str__(self) -> str:
        return f"{self.what} by {self.actor}"
