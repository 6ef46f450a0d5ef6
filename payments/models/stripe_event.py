from django.db import models

from maaledu.work.items import WorkItem


class StripeEvent(WorkItem):
    """An event from Stripe, stored once by its id and as it was sent: the inbox.

    `payments.webhooks` handles it.
    """

    event_id = models.CharField(max_length=255, unique=True)
    type = models.CharField(max_length=100)
    livemode = models.BooleanField()
    api_version = models.CharField(max_length=40, blank=True)
    session_id = models.CharField(max_length=255, blank=True, db_index=True)
    payload = models.JSONField()
    outcome = models.CharField(max_length=60, blank=True)
    is_fetched = models.BooleanField(
        "fetched",
        default=False,
        db_default=False,
        help_text="Found by reconciliation: Stripe could not deliver it.",
    )
    deliveries = models.PositiveIntegerField(
        default=1,
        db_default=1,
        help_text="How often it has reached us: Stripe delivers again what was not taken in time.",
    )

    class Meta(WorkItem.Meta):
        indexes = [
            *WorkItem.Meta.indexes,
            models.Index(fields=["type", "-created_at"]),
            models.Index(fields=["request_id"]),
            models.Index(
                fields=["-created_at"], condition=models.Q(is_fetched=True), name="event_fetched"
            ),
        ]
        permissions = (("replay_stripeevent", "Can retry and replay Stripe events"),)

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"

    def add_deliveries(self, number: int) -> None:
        known = StripeEvent.objects.filter(pk=self.pk)
        known.update(deliveries=models.F("deliveries") + number)
