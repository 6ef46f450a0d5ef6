import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import maaledu.db
from django.conf import settings
from django.db import migrations, models

from accounts.audit import AUDIT


def install_triggers(apps, schema_editor):
    AUDIT.install(schema_editor.connection)


def remove_triggers(apps, schema_editor):
    AUDIT.remove(schema_editor.connection)


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("auth", "__first__"),
    ]

    operations = [
        migrations.CreateModel(
            name="User",
            fields=[
                ("password", models.CharField(max_length=128, verbose_name="password")),
                (
                    "last_login",
                    models.DateTimeField(blank=True, null=True, verbose_name="last login"),
                ),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("email", models.EmailField(max_length=140, unique=True)),
                ("name", models.CharField(blank=True, max_length=140)),
                ("is_staff", models.BooleanField(default=False, verbose_name="staff")),
                ("is_active", models.BooleanField(default=True, verbose_name="active")),
                (
                    "date_joined",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "second_factor_reset_at",
                    models.DateTimeField(blank=True, editable=False, null=True),
                ),
                (
                    "saved_views",
                    models.TextField(blank=True, db_default="", default="", editable=False),
                ),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
            ],
            options={
                "permissions": (("reset_second_factor", "Can take away somebody's second factor"),),
                "indexes": [
                    models.Index(fields=["-date_joined"], name="accounts_us_date_jo_bab293_idx"),
                    models.Index(
                        fields=["name"], name="user_name_begins", opclasses=["varchar_pattern_ops"]
                    ),
                    models.Index(
                        condition=models.Q(("is_staff", True)),
                        fields=["-date_joined"],
                        name="user_staff",
                    ),
                    models.Index(
                        condition=models.Q(("is_active", False)),
                        fields=["-date_joined"],
                        name="user_inactive",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="LearnerNote",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "email",
                    models.EmailField(
                        max_length=140,
                        validators=[django.core.validators.validate_email],
                        verbose_name="learner",
                    ),
                ),
                ("text", models.TextField(max_length=2000, verbose_name="note")),
                ("written_by", models.CharField(max_length=254)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
            ],
            options={
                "verbose_name": "note about a learner",
                "verbose_name_plural": "notes about learners",
                "indexes": [
                    models.Index(
                        fields=["email", "-created_at"], name="accounts_le_email_b9edd8_idx"
                    ),
                    models.Index(fields=["-created_at"], name="accounts_le_created_f7f8b1_idx"),
                ],
            },
        ),
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(help_text="Which program has it.", max_length=80)),
                ("prefix", models.CharField(editable=False, max_length=16, unique=True)),
                ("secret_hash", models.CharField(editable=False, max_length=64)),
                ("scopes", models.CharField(help_text="Parted by blanks.", max_length=400)),
                (
                    "per_minute",
                    models.PositiveIntegerField(
                        default=60,
                        help_text="Requests a minute at most.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(6000),
                        ],
                    ),
                ),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("last_used_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("revoked_by", models.CharField(blank=True, editable=False, max_length=140)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="api_keys",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "API key",
                "permissions": (("revoke_apikey", "Can revoke API keys"),),
                "indexes": [
                    models.Index(fields=["-created_at"], name="accounts_ap_created_b43339_idx"),
                    models.Index(
                        fields=["name"],
                        name="api_key_name_begins",
                        opclasses=["varchar_pattern_ops"],
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, editable=False, verbose_name="when"
                    ),
                ),
                ("actor", models.CharField(max_length=140, verbose_name="who")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("added", "Added"),
                            ("changed", "Changed"),
                            ("deleted", "Deleted"),
                            ("decided", "Decision"),
                            ("roles", "Roles and rights"),
                            ("exported", "Download"),
                            ("refused", "Refused"),
                            ("signed_in", "Sign-in"),
                            ("sign_in_refused", "Sign-in refused"),
                            ("second_factor", "Second factor"),
                        ],
                        max_length=16,
                    ),
                ),
                ("what", models.CharField(max_length=300)),
                ("model", models.CharField(blank=True, max_length=100, verbose_name="of")),
                ("row_id", models.CharField(blank=True, max_length=64)),
                ("row_name", models.CharField(blank=True, max_length=200, verbose_name="to what")),
                ("changes", models.JSONField(blank=True, default=list)),
                ("reason", models.TextField(blank=True, verbose_name="why")),
                ("request_id", models.CharField(blank=True, max_length=64)),
            ],
            options={
                "verbose_name": "change log entry",
                "verbose_name_plural": "change log entries",
                "indexes": [
                    models.Index(fields=["-created_at"], name="accounts_au_created_848def_idx"),
                    models.Index(
                        fields=["actor", "-created_at"], name="accounts_au_actor_168db5_idx"
                    ),
                    models.Index(
                        fields=["kind", "-created_at"], name="accounts_au_kind_6ef732_idx"
                    ),
                    models.Index(
                        fields=["model", "-created_at"], name="accounts_au_model_4ad82d_idx"
                    ),
                    models.Index(
                        fields=["row_id", "-created_at"], name="accounts_au_row_id_65895d_idx"
                    ),
                ],
            },
        ),
        migrations.RunPython(install_triggers, remove_triggers),
    ]
