import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.core.validators import validate_email
from django.db import models
from django.db.models import Q, Sum
from django.urls import reverse
from django.utils import timezone

from courses.models import Course
from enrollments.models.indexes import INDEXES
from enrollments.models.learning import Learning
from lms_sync import links
from lms_sync.models import MADE, ORIGINS
from maaledu.db import new_id
from maaledu.money import CURRENCY_CHOICES, Money
from maaledu.traced import Traced

USUALLY_WITHIN = timedelta(minutes=10)  # access follows the payment within seconds


def new_token() -> str:
    """Return 192 random bits, which nobody can guess: whoever has a status page's link reads it."""
    return secrets.token_urlsafe(24)


def choices_of(*values: str) -> list[tuple[str, str]]:
    return [(value, value.replace("_", " ")) for value in values]


class EnrollmentQuerySet(models.QuerySet):
    def live(self) -> "EnrollmentQuerySet":
        return self.filter(status__in=Enrollment.LIVE)

    def of_buyer(self, course: Course, email: str) -> "EnrollmentQuerySet":
        return self.filter(course=course, email=email)

    def paid(self) -> "EnrollmentQuerySet":
        return self.filter(status=Enrollment.PAID)

    def without_access(self, now: datetime) -> "EnrollmentQuerySet":
        """Keep those that are paid and should have access by now, but have not.

        It is not for us to act while they wait for their learner's account.
        """
        waiting = [Enrollment.LMS_PENDING, Enrollment.LMS_RETRYING]
        just_paid = Q(lms_status__in=waiting, paid_at__gt=now - USUALLY_WITHIN)
        without = [*waiting, Enrollment.LMS_FAILED, Enrollment.LMS_LOST]
        # Of one status alone SQLite would look through all paid ones, for a list's order.
        return self.filter(~just_paid, status__in=[Enrollment.PAID, ""], lms_status__in=without)

    def progress_due(self, platform: str, now: datetime) -> "EnrollmentQuerySet":
        """Keep those with access there whose progress is to be asked for, longest due first."""
        with_access = self.paid().filter(lms_status=Enrollment.LMS_SUCCESS, lms_platform=platform)
        return with_access.filter(progress_due_at__lte=now).order_by("progress_due_at")

    def made_for(self, platform: str, course_id: str, email: str) -> frozenset[str]:
        """Return the ids of the enrollments that we made in the LMS for a learner and course."""
        # A database of an LMS compares names without case, so its name may have been typed twice.
        rows = self.filter(
            email=email, lms_platform=platform, lms_course_id__iexact=course_id, lms_origin=MADE
        )
        return frozenset(rows.values_list("lms_enrollment_id", flat=True))

    def in_place_of(self, enrollment: "Enrollment") -> "EnrollmentQuerySet":
        """Return the others of the same buyer in the course, or of the same grant.

        Of these and this one, at most one is live (the unique constraints).
        """
        same = Q(course_id=enrollment.course_id, email=enrollment.email)
        if enrollment.grant_id:
            same |= Q(grant_id=enrollment.grant_id)
        return self.filter(same).exclude(pk=enrollment.pk)

    def totals_spent(self) -> list[Money]:
        """Return what these enrollments cost, a total for each currency (R022: never stored)."""
        sums = self.paid().order_by().values("currency").annotate(total=Sum("amount"))
        return [Money(row["total"], row["currency"]) for row in sums if row["total"]]


class Enrollment(Traced, Learning):
    """A course bought for one e-mail address, from the click on "Enroll" on. Never deleted.

    What was promised is copied in at checkout (title, prices, LMS course): a purchase is a
    snapshot. `status` is about the payment and `lms_status` about access. No answer of the LMS
    changes `status`, save for the exception `lms_refused` (decisions: enrollment status).
    """

    PENDING, PAID, FAILED, EXPIRED = "pending", "paid", "failed", "expired"
    CANCELLED, REFUNDED, WITHDRAWN = "cancelled", "refunded", "withdrawn"
    LIVE = [PENDING, PAID]
    OVER = [REFUNDED, WITHDRAWN]  # ended after it was paid, so that access is taken away
    TRANSITIONS = {
        PENDING: [],
        # A payment that arrives after the end of the reservation is honored. Not from refunded: a
        # late event of the refunded payment would make the enrollment paid again.
        PAID: [PENDING, FAILED, EXPIRED, CANCELLED],
        # That the bank refused, or the amount differed, says more than that the session expired.
        FAILED: [PENDING, EXPIRED],
        EXPIRED: [PENDING],
        # Cancelling closes the session, and Stripe's event about that may arrive before we write:
        # that the learner cancelled says more than that the session expired.
        CANCELLED: [PENDING, EXPIRED],
        REFUNDED: [PAID],
        # Only staff take a free enrollment away.
        WITHDRAWN: [],
    }
    # Moves that no payment's event may make: only a caller that names the edge does.
    EXCEPTIONS = {
        # The refund that had ended the enrollment failed or was canceled.
        "reinstate": {PAID: [REFUNDED]},
        # Staff took a free enrollment away, and gave it back.
        "withdraw": {WITHDRAWN: [PAID]},
        "give_back": {PAID: [WITHDRAWN]},
        # The LMS refused a free enrollment for good.
        "lms_refused": {FAILED: [PAID]},
    }
    LMS_PENDING, LMS_SUCCESS, LMS_FAILED, LMS_RETRYING, LMS_REVOKED = (
        "pending",
        "success",
        "failed",
        "retrying",
        "revoked",
    )
    LMS_AWAITING = "awaiting_account"
    LMS_LOST = "lost"
    LMS_STATUS_TRANSITIONS = {
        LMS_PENDING: [LMS_FAILED, LMS_LOST],
        LMS_RETRYING: [LMS_PENDING, LMS_RETRYING],
        # The platform answers well, and it is the learner's turn: a look that fails changes that
        # no more, so nothing leads from here to retrying.
        LMS_AWAITING: [LMS_PENDING, LMS_RETRYING],
        LMS_FAILED: [LMS_PENDING, LMS_RETRYING, LMS_AWAITING],
        LMS_SUCCESS: [LMS_PENDING, LMS_RETRYING, LMS_FAILED, LMS_AWAITING, LMS_LOST],
        # The comparison with the LMS does not find there any more what was given.
        LMS_LOST: [LMS_SUCCESS],
        LMS_REVOKED: [LMS_PENDING, LMS_RETRYING, LMS_FAILED, LMS_SUCCESS, LMS_AWAITING, LMS_LOST],
    }
    LMS_STATUS_EXCEPTIONS = {
        # Access is asked for anew, whatever became of it before the enrollment ended.
        "reinstate": {
            LMS_PENDING: [
                LMS_PENDING,
                LMS_RETRYING,
                LMS_AWAITING,
                LMS_FAILED,
                LMS_SUCCESS,
                LMS_LOST,
                LMS_REVOKED,
            ]
        },
    }
    # Of a paid one: access that is neither there nor lost in the LMS.
    LMS_UNGIVEN = [LMS_PENDING, LMS_RETRYING, LMS_AWAITING, LMS_FAILED, LMS_REVOKED]
    LMS_CHOICES = [
        *choices_of(LMS_PENDING, LMS_RETRYING),
        (LMS_AWAITING, "waiting for the learner's account"),
        *choices_of(LMS_FAILED, LMS_SUCCESS),
        (LMS_LOST, "lost in the LMS"),
        *choices_of(LMS_REVOKED),
    ]
    KIND_PAID, KIND_FREE, KIND_GRANT, KIND_PARTIAL_GRANT = "paid", "free", "grant", "partial_grant"
    KIND_INVITED = "invited"  # one of a batch, for which somebody else answers
    KINDS = [KIND_PAID, KIND_FREE, KIND_GRANT, KIND_PARTIAL_GRANT, KIND_INVITED]
    UNPAID_KINDS = [KIND_FREE, KIND_GRANT, KIND_INVITED]

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    token = models.CharField(max_length=40, unique=True, default=new_token, editable=False)
    course = models.ForeignKey(Course, on_delete=models.PROTECT, related_name="enrollments")
    email = models.EmailField(max_length=140, validators=[validate_email])
    name = models.CharField(max_length=140, blank=True)
    kind = models.CharField(max_length=20, choices=choices_of(*KINDS))
    course_title = models.CharField(max_length=200)
    course_slug = models.CharField(max_length=140)
    lms_platform = models.CharField(max_length=20)
    lms_course_id = models.CharField(max_length=255)
    list_price = models.PositiveBigIntegerField(help_text="Minor units, before any discount.")
    amount = models.PositiveBigIntegerField(help_text="Minor units, what is to be paid.")
    currency = models.CharField(max_length=3, choices=CURRENCY_CHOICES)
    grant_id = models.UUIDField(
        null=True, blank=True, help_text="The grant whose coupon this uses."
    )
    batch_id = models.UUIDField(
        null=True, blank=True, db_index=True, help_text="The batch that this is one of."
    )
    discount_percent = models.PositiveSmallIntegerField(default=0)
    affiliate_id = models.UUIDField(
        null=True, blank=True, help_text="Whose link brought the buyer: who is credited."
    )
    referral_code = models.CharField(max_length=24, blank=True)
    referral_label = models.CharField(max_length=30, blank=True, default="", db_default="")
    referral_outcome = models.CharField(
        max_length=10, blank=True, help_text="credited, or why nobody is: self, inactive, unknown."
    )
    commission_base = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Minor units: the price before any discount."
    )
    commission_rate = models.PositiveIntegerField(
        null=True, blank=True, help_text="Basis points, the affiliate's at checkout."
    )
    network_key = models.CharField(max_length=64, blank=True, help_text="Hash of its address.")
    mails_affiliate = models.BooleanField(
        default=False, db_default=False, help_text="Its affiliate wants a mail for each sale."
    )
    status = models.CharField(max_length=20, choices=choices_of(*TRANSITIONS), default=PENDING)
    failure_code = models.CharField(max_length=40, blank=True)
    payment_reference = models.CharField(
        max_length=255,
        blank=True,
        db_index=True,
        help_text="What paid for it: Stripe's payment intent, or FREE.",
    )
    lms_status = models.CharField(max_length=20, choices=LMS_CHOICES, default=LMS_PENDING)
    access_generation = models.PositiveIntegerField(
        default=0, help_text="How often access was revoked or given again."
    )
    lms_origin = models.CharField(
        max_length=5,
        choices=ORIGINS,
        blank=True,
        default="",
        db_default="",
        help_text="Whether we made the enrollment there, or found it: only ours is taken away.",
    )
    lms_user_made = models.BooleanField(
        default=False, db_default=False, help_text="We made the learner's user there."
    )
    lms_enrollment_id = models.CharField(max_length=255, blank=True)
    lms_synced_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    paid_at = models.DateTimeField(null=True, blank=True)
    rebuilt_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When it was made again from what Stripe knows, after a backup was restored.",
    )

    forgotten_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when it names nobody: the account was deleted."
    )

    objects = EnrollmentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["course", "email"],
                condition=Q(status__in=["pending", "paid"]),
                name="one_live_enrollment",
            ),
            # Any number of enrollments without a grant: no engine counts nulls as equal.
            models.UniqueConstraint(
                fields=["grant_id"],
                condition=Q(status__in=["pending", "paid"]),
                name="one_live_enrollment_per_grant",
            ),
        ]
        indexes = INDEXES
        permissions = (
            ("repair_enrollment", "Can repair the sync of enrollments"),
            ("move_enrollment", "Can move enrollments to another address, and correct names"),
            ("comp_enrollment", "Can enroll for free, and take free enrollments away"),
        )

    def __str__(self) -> str:
        return f"{self.course_title} for {self.email}"

    def get_absolute_url(self) -> str:
        return reverse("enrollment", args=[self.token])

    @property
    def status_link(self) -> str:
        return settings.SITE_URL + self.get_absolute_url()

    @property
    def course_link(self) -> str:
        return links.course_link(self.lms_platform, self.lms_course_id)

    @property
    def register_link(self) -> str:
        return links.register_link(self.lms_platform)

    @property
    def has_access(self) -> bool:
        return self.status == self.PAID and self.lms_status == self.LMS_SUCCESS
