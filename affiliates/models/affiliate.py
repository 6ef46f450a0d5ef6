from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from affiliates.codes import new_code
from maaledu.db import new_id
from maaledu.money import BASIS_POINTS
from maaledu.unions import BEGINS


class Affiliate(models.Model):
    """Somebody who sends buyers: their code, their rate, and their payout account, encrypted.

    `email` is copied from the account; the next attribution copies `rate_basis_points` onto its
    enrollment.
    """

    APPLIED, ACTIVE, SUSPENDED, CLOSED = "applied", "active", "suspended", "closed"
    TRANSITIONS = {
        APPLIED: [],
        ACTIVE: [APPLIED, SUSPENDED, CLOSED],
        SUSPENDED: [ACTIVE],
        CLOSED: [APPLIED, ACTIVE, SUSPENDED],
    }
    PAYPAL, BANK, LATER = "paypal", "bank", "later"
    METHODS = [(PAYPAL, "PayPal"), (BANK, _("Bank transfer")), (LATER, _("Decide later"))]
    PAYABLE_METHODS = METHODS[:2]
    NEVER, EACH, DAILY = "never", "each", "daily"
    SALE_MAILS = [
        (NEVER, _("None")),
        (EACH, _("One for each sale")),
        (DAILY, _("One a day with sales")),
    ]

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.OneToOneField(User, on_delete=models.PROTECT, related_name="affiliate")
    email = models.EmailField(max_length=140, unique=True)
    alias_key = models.CharField(
        max_length=140,
        db_index=True,
        help_text="The address without plus tag and dots, to compare only.",
    )
    name = models.CharField(max_length=140, help_text="Shown to buyers: referred by ...")
    code = models.CharField(max_length=24, unique=True, default=new_code)
    status = models.CharField(max_length=12, choices=[(s, s) for s in TRANSITIONS], default=APPLIED)
    status_reason = models.CharField(max_length=300, blank=True)
    rate_basis_points = models.PositiveIntegerField(validators=[MaxValueValidator(BASIS_POINTS)])
    payout_method = models.CharField(max_length=10, choices=METHODS, default=LATER)
    payee_name = models.CharField(max_length=140, blank=True)
    payout_sealed = models.TextField(blank=True, help_text="IBAN or PayPal address, encrypted.")
    payout_hint = models.CharField(max_length=80, blank=True, help_text="What may be shown of it.")
    payout_key = models.CharField(
        max_length=64, blank=True, db_index=True, help_text="Keyed hash, to find equal accounts."
    )
    sale_mails = models.CharField(
        "mails about sales", max_length=5, choices=SALE_MAILS, default=NEVER, db_default=NEVER
    )
    tax_country = models.CharField(max_length=2)
    terms_accepted_at = models.DateTimeField()
    network_key = models.CharField(
        max_length=64, blank=True, db_index=True, help_text="Keyed hash of the latest address."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    activated_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["status", "payout_method"]),
            models.Index(fields=["sale_mails"]),
            models.Index(fields=["status", "-rate_basis_points"]),
            models.Index(fields=["-created_at"]),
            models.Index(fields=["name"], name="affiliate_name_begins", opclasses=BEGINS),
            models.Index(fields=["payee_name"], name="affiliate_payee_begins", opclasses=BEGINS),
        ]
        permissions = (
            ("review_affiliate", "Can approve, suspend, reinstate and close affiliates"),
            ("adjust_affiliate", "Can adjust an affiliate's balance and rate"),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.code})"

    @property
    def is_active(self) -> bool:
        return self.status == self.ACTIVE

    @property
    def link(self) -> str:
        """Return the link to the catalogue that credits this affiliate."""
        return settings.SITE_URL + reverse("referral", args=[self.code])

    def link_to(self, course_slug: str) -> str:
        return settings.SITE_URL + reverse("referral_course", args=[self.code, course_slug])
