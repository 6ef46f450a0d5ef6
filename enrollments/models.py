import logging
import secrets

from django.conf import settings
from django.core.validators import validate_email
from django.db import models
from django.db.models import Count, Q, Sum
from django.urls import reverse
from django.utils import timezone

from courses.models import Course
from maaledu.db import new_id
from maaledu.money import CURRENCY_CHOICES, Money

logger = logging.getLogger(__name__)


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

    def totals_spent(self) -> list[Money]:
        """Return what these enrollments cost, a total for each currency (R022: never stored)."""
        sums = self.paid().order_by().values("currency").annotate(total=Sum("amount"))
        return [Money(row["total"], row["currency"]) for row in sums if row["total"]]


class Enrollment(models.Model):
    """A course bought for one e-mail address, from the click on "Enroll" on. Never deleted.

    What was promised is copied in at checkout (title, prices, LMS course): a purchase is a
    snapshot. `status` is about the payment and `lms_status` about access. No answer of the LMS
    changes `status`, save for the exception `lms_refused` (decisions: enrollment status).
    """

    PENDING, PAID, FAILED, EXPIRED = "pending", "paid", "failed", "expired"
    CANCELLED, REFUNDED = "cancelled", "refunded"
    LIVE = [PENDING, PAID]
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
    }
    # Moves that no payment's event may make: only a caller that names the edge does.
    EXCEPTIONS = {
        # The refund that had ended the enrollment failed or was canceled.
        "reinstate": {PAID: [REFUNDED]},
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
    LMS_STATUS_TRANSITIONS = {
        LMS_PENDING: [LMS_FAILED],
        LMS_RETRYING: [LMS_PENDING, LMS_RETRYING],
        LMS_FAILED: [LMS_PENDING, LMS_RETRYING],
        LMS_SUCCESS: [LMS_PENDING, LMS_RETRYING, LMS_FAILED],
        LMS_REVOKED: [LMS_PENDING, LMS_RETRYING, LMS_FAILED, LMS_SUCCESS],
    }
    LMS_STATUS_EXCEPTIONS = {
        # Access is asked for anew, whatever became of it before the enrollment ended.
        "reinstate": {
            LMS_PENDING: [LMS_PENDING, LMS_RETRYING, LMS_FAILED, LMS_SUCCESS, LMS_REVOKED]
        },
    }
    KIND_PAID, KIND_FREE, KIND_GRANT, KIND_PARTIAL_GRANT = "paid", "free", "grant", "partial_grant"
    UNPAID_KINDS = [KIND_FREE, KIND_GRANT]

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    token = models.CharField(max_length=40, unique=True, default=new_token, editable=False)
    course = models.ForeignKey(Course, on_delete=models.PROTECT, related_name="enrollments")
    email = models.EmailField(max_length=140, validators=[validate_email])
    name = models.CharField(max_length=140, blank=True)
    kind = models.CharField(
        max_length=20, choices=choices_of(KIND_PAID, KIND_FREE, KIND_GRANT, KIND_PARTIAL_GRANT)
    )
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
    discount_percent = models.PositiveSmallIntegerField(default=0)
    affiliate_id = models.UUIDField(
        null=True, blank=True, help_text="Whose link brought the buyer: who is credited."
    )
    referral_code = models.CharField(max_length=24, blank=True)
    referral_outcome = models.CharField(
        max_length=10, blank=True, help_text="credited, or why nobody is: self, inactive, unknown."
    )
    commission_base = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Minor units: the price before any discount."
    )
    commission_rate = models.PositiveIntegerField(
        null=True, blank=True, help_text="Basis points, the affiliate's at checkout."
    )
    network_key = models.CharField(
        max_length=64, blank=True, help_text="Keyed hash of the address of a referred checkout."
    )
    status = models.CharField(max_length=20, choices=choices_of(*TRANSITIONS), default=PENDING)
    failure_code = models.CharField(max_length=40, blank=True)
    payment_reference = models.CharField(
        max_length=255,
        blank=True,
        db_index=True,
        help_text="What paid for it: Stripe's payment intent, or FREE.",
    )
    lms_status = models.CharField(
        max_length=20, choices=choices_of(*LMS_STATUS_TRANSITIONS), default=LMS_PENDING
    )
    access_generation = models.PositiveIntegerField(
        default=0, help_text="How often access was revoked or given again."
    )
    lms_enrollment_id = models.CharField(max_length=140, blank=True)
    lms_synced_at = models.DateTimeField(null=True, blank=True)
    progress_percent = models.PositiveSmallIntegerField(default=0)
    progress_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    paid_at = models.DateTimeField(null=True, blank=True)

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
        indexes = [
            models.Index(fields=["course", "email", "status"]),
            models.Index(fields=["email", "-created_at"]),
            models.Index(fields=["status", "created_at"]),
            models.Index(fields=["lms_status", "status"]),
            models.Index(fields=["affiliate_id", "-created_at"]),
            models.Index(fields=["-created_at"]),
        ]
        permissions = (("repair_enrollment", "Can repair the sync of enrollments"),)

    def __str__(self) -> str:
        return f"{self.course_title} for {self.email}"

    def get_absolute_url(self) -> str:
        return reverse("enrollment", args=[self.token])

    @property
    def status_link(self) -> str:
        return settings.SITE_URL + self.get_absolute_url()

    @property
    def course_link(self) -> str:
        """The address of the course in the LMS, or of the LMS if the setting cannot be filled in.

        Raises nothing: a wrong setting must not break the status page and the confirmation.
        """
        base = settings.FRAPPE_LMS_BASE_URL
        try:
            return settings.LMS_COURSE_URL.format(base_url=base, course_id=self.lms_course_id)
        except (LookupError, ValueError, AttributeError, TypeError):
            logger.exception(
                "LMS_COURSE_URL cannot be filled in", extra={"template": settings.LMS_COURSE_URL}
            )
            return base

    @property
    def has_access(self) -> bool:
        return self.status == self.PAID and self.lms_status == self.LMS_SUCCESS


class EnrollmentEvent(models.Model):
    """One row for each change of an enrollment's status: from, to, by whom. Insert only."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    enrollment = models.ForeignKey(Enrollment, on_delete=models.PROTECT, related_name="events")
    from_status = models.CharField(max_length=20)
    to_status = models.CharField(max_length=20)
    actor = models.CharField(
        max_length=140,
        help_text="A Stripe event, the success page, the sweep, or a member of staff.",
    )
    note = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes = [models.Index(fields=["-created_at"])]
        ordering = ["created_at"]

    def __str__(self) -> str:
        return f"{self.from_status} → {self.to_status} by {self.actor}"


# What is counted as sold: a refund later takes nothing from the figures of what was bought.
SOLD = [Enrollment.PAID, Enrollment.REFUNDED]
SALE_COUNTS = {
    "referrals": Count("pk"),
    "paid": Count("pk", filter=Q(amount__gt=0)),
    "refunded": Count("pk", filter=Q(amount__gt=0, status=Enrollment.REFUNDED)),
}
