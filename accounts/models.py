from typing import Any, NoReturn

from allauth.account.models import EmailAddress
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import models
from django.utils import timezone

from accounts.api_key import ApiKey
from accounts.emails import MAX_EMAIL_LENGTH, normalize_email
from accounts.errors import AuditLogIsAppendOnly
from maaledu.db import new_id
from maaledu.names import ControlCharacters, clean_name
from maaledu.unions import BEGINS

__all__ = ["ApiKey"]


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Make a superuser whose address counts as verified.

        Whoever may call this has access to the database anyway.
        """
        # Without this row sign-in asks the first superuser for a code, before e-mail is set up.
        user = self.create_user(email, password, is_staff=True, is_superuser=True, **fields)
        EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
        return user

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in by e-mail.

    A buyer needs no account: purchases are shown to whoever has verified their address.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField(max_length=MAX_EMAIL_LENGTH, unique=True)
    name = models.CharField(max_length=140, blank=True)
    is_staff = models.BooleanField("staff", default=False)
    is_active = models.BooleanField("active", default=True)
    date_joined = models.DateTimeField(default=timezone.now, editable=False)
    # When the second factor was last taken away: what sessions showed before counts no more.
    second_factor_reset_at = models.DateTimeField(null=True, blank=True, editable=False)
    # The views of the office's lists that this person keeps, as `accounts.saved_views` writes them.
    saved_views = models.TextField(blank=True, default="", db_default="", editable=False)

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = []

    class Meta:
        indexes = [
            models.Index(fields=["-date_joined"]),
            models.Index(fields=["name"], name="user_name_begins", opclasses=BEGINS),
            # The few among many that staff filter by.
            models.Index(
                fields=["-date_joined"], condition=models.Q(is_staff=True), name="user_staff"
            ),
            models.Index(
                fields=["-date_joined"], condition=models.Q(is_active=False), name="user_inactive"
            ),
        ]
        permissions = (("reset_second_factor", "Can take away somebody's second factor"),)

    def __str__(self) -> str:
        return self.email

    def clean(self) -> None:
        self.email = normalize_email(self.email)
        try:
            self.name = clean_name(self.name)
        except ControlCharacters as error:
            raise ValidationError({"name": "Enter a name without control characters."}) from error

    @property
    def has_verified_email(self) -> bool:
        """Whether the owner has proved this very address: what was bought under it may be shown."""
        return EmailAddress.objects.filter(user=self, email=self.email, verified=True).exists()

    def verified_emails(self) -> list[str]:
        """Return the addresses that are proved: what others bought is not shown (R016)."""
        addresses = EmailAddress.objects.filter(user=self, verified=True)
        return sorted({address.lower() for address in addresses.values_list("email", flat=True)})

    def get_full_name(self) -> str:
        return self.name or self.email.split("@")[0]

    def get_short_name(self) -> str:
        return self.get_full_name().split(" ")[0]


class LearnerNote(models.Model):
    """What staff wrote down about a learner, who need not have an account. Insert only."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField("learner", max_length=MAX_EMAIL_LENGTH, validators=[validate_email])
    text = models.TextField("note", max_length=2000)
    written_by = models.CharField(max_length=254)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "note about a learner"
        verbose_name_plural = "notes about learners"
        indexes = [
            models.Index(fields=["email", "-created_at"]),
            models.Index(fields=["-created_at"]),
        ]

    def __str__(self) -> str:
        return f"note about {self.email}"


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    """Insert and read only."""

    def update(self, **changes: Any) -> NoReturn:
        raise AuditLogIsAppendOnly

    def delete(self) -> NoReturn:
        raise AuditLogIsAppendOnly

    def bulk_update(self, *args: Any, **options: Any) -> NoReturn:
        raise AuditLogIsAppendOnly


class AuditEntry(models.Model):
    """One entry of the office's change log, insert only; `accounts.audit` writes them."""

    ADDED, CHANGED, DELETED, DECIDED = "added", "changed", "deleted", "decided"
    ROLES, EXPORTED, REFUSED = "roles", "exported", "refused"
    SIGNED_IN, SIGN_IN_REFUSED, SECOND_FACTOR = "signed_in", "sign_in_refused", "second_factor"
    KINDS = [
        (ADDED, "Added"),
        (CHANGED, "Changed"),
        (DELETED, "Deleted"),
        (DECIDED, "Decision"),
        (ROLES, "Roles and rights"),
        (EXPORTED, "Download"),
        (REFUSED, "Refused"),
        (SIGNED_IN, "Sign-in"),
        (SIGN_IN_REFUSED, "Sign-in refused"),
        (SECOND_FACTOR, "Second factor"),
    ]

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    created_at = models.DateTimeField("when", default=timezone.now, editable=False)
    # A text and no relation: what was done stays readable, whatever becomes of the person.
    actor = models.CharField("who", max_length=140)
    kind = models.CharField(max_length=16, choices=KINDS)
    what = models.CharField(max_length=300)
    model = models.CharField("of", max_length=100, blank=True)
    row_id = models.CharField(max_length=64, blank=True)
    row_name = models.CharField("to what", max_length=200, blank=True)
    changes = models.JSONField(default=list, blank=True)  # [label, before, after] each
    reason = models.TextField("why", blank=True)
    request_id = models.CharField(max_length=64, blank=True)

    objects = AuditQuerySet.as_manager()

    class Meta:
        verbose_name = "change log entry"
        verbose_name_plural = "change log entries"
        indexes = [
            models.Index(fields=["-created_at"]),
            models.Index(fields=["actor", "-created_at"]),
            models.Index(fields=["kind", "-created_at"]),
            models.Index(fields=["model", "-created_at"]),
            models.Index(fields=["row_id", "-created_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.actor}: {self.what}"

    def save(self, *args: Any, **options: Any) -> None:
        if not self._state.adding:
            raise AuditLogIsAppendOnly
        super().save(force_insert=True, using=options.get("using"))

    def delete(self, *args: Any, **options: Any) -> NoReturn:
        raise AuditLogIsAppendOnly
