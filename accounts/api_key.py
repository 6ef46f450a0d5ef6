from datetime import datetime

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from maaledu.db import new_id
from maaledu.unions import BEGINS

PER_MINUTE = 60
MOST_PER_MINUTE = 6000


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def usable(self, now: datetime) -> "ApiKeyQuerySet":
        """Keep those that are neither revoked nor expired, and whose maker may still sign in."""
        running = Q(expires_at=None) | Q(expires_at__gt=now)
        return self.filter(running, revoked_at=None, user__is_active=True)


class ApiKey(models.Model):
    """A key with which a program calls the API in the name of the member of staff who made it.

    The secret is shown once and kept as a hash. A key may do what its scopes say, as far as its
    maker may do it at that moment.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="api_keys"
    )
    name = models.CharField(max_length=80, help_text="Which program has it.")
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    secret_hash = models.CharField(max_length=64, editable=False)
    scopes = models.CharField(max_length=400, help_text="Parted by blanks.")
    per_minute = models.PositiveIntegerField(
        default=PER_MINUTE,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_PER_MINUTE)],
        help_text="Requests a minute at most.",
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_by = models.CharField(max_length=140, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        indexes = [
            models.Index(fields=["-created_at"]),
            models.Index(fields=["name"], name="api_key_name_begins", opclasses=BEGINS),
        ]
        permissions = (("revoke_apikey", "Can revoke API keys"),)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def scope_list(self) -> list[str]:
        return self.scopes.split()

    @property
    def rate(self) -> str:
        return f"{self.per_minute}/1m"
