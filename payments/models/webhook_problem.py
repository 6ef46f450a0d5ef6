from django.db import models
from django.utils import timezone

from enrollments.models import choices_of
from maaledu.db import new_id


class WebhookProblem(models.Model):
    """What is wrong with the way Stripe's events reach us, as the deliveries themselves showed it.

    One row for each kind and detail, such as the API version; it stays when the cause is fixed, and
    `last_at` says when it was last seen.
    """

    SECRET, CLOCK, VERSION, THIN, MODE = "secret", "clock", "version", "thin", "mode"
    KINDS = [SECRET, CLOCK, VERSION, THIN, MODE]

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=10, choices=choices_of(*KINDS))
    detail = models.CharField(max_length=40, blank=True)
    explanation = models.CharField(max_length=300, blank=True)
    first_at = models.DateTimeField(default=timezone.now, editable=False)
    last_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "detail"], name="one_row_per_webhook_problem")
        ]
        indexes = [models.Index(fields=["-last_at"])]
        permissions = (("check_webhookproblem", "Can check the connection to Stripe"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.detail}".strip()
