import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import grants.models
import maaledu.db
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("courses", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Program",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=140, unique=True)),
                (
                    "currency",
                    models.CharField(
                        choices=[
                            ("usd", "USD"),
                            ("eur", "EUR"),
                            ("gbp", "GBP"),
                            ("aed", "AED"),
                            ("chf", "CHF"),
                            ("cad", "CAD"),
                            ("aud", "AUD"),
                            ("jpy", "JPY"),
                        ],
                        default="usd",
                        max_length=3,
                    ),
                ),
                (
                    "budget_amount",
                    models.PositiveBigIntegerField(
                        blank=True, help_text="Minor units; empty: no limit.", null=True
                    ),
                ),
                (
                    "budget_grants",
                    models.PositiveIntegerField(
                        blank=True, help_text="Empty: no limit.", null=True
                    ),
                ),
                ("committed_amount", models.PositiveBigIntegerField(default=0, editable=False)),
                ("committed_grants", models.PositiveIntegerField(default=0, editable=False)),
                ("is_active", models.BooleanField(default=True)),
                (
                    "for_whom",
                    models.TextField(blank=True, db_default="", default="", max_length=1000),
                ),
                (
                    "decided_how",
                    models.TextField(blank=True, db_default="", default="", max_length=1000),
                ),
                ("closes_on", models.DateField(blank=True, null=True)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "updated_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["-created_at"], name="grants_prog_created_e3d35b_idx")
                ],
            },
        ),
        migrations.CreateModel(
            name="MessageTemplate",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=80, unique=True)),
                (
                    "used_for",
                    models.CharField(
                        choices=[("approval", "Approvals"), ("rejection", "Rejections")],
                        max_length=10,
                    ),
                ),
                ("text", models.TextField(max_length=500)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
            ],
            options={"ordering": ["name"]},
        ),
        migrations.CreateModel(
            name="Grant",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "token",
                    models.CharField(
                        default=grants.models.new_token, editable=False, max_length=40, unique=True
                    ),
                ),
                ("email", models.EmailField(max_length=140)),
                ("name", models.CharField(max_length=140)),
                ("situation", models.TextField(max_length=4000)),
                ("motivation", models.TextField(max_length=4000)),
                ("consented_at", models.DateTimeField()),
                ("answer_due_on", models.DateField()),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "pending"),
                            ("approved", "approved"),
                            ("rejected", "rejected"),
                            ("reserved", "reserved"),
                            ("redeemed", "redeemed"),
                            ("expired", "expired"),
                            ("revoked", "revoked"),
                            ("withdrawn", "withdrawn"),
                        ],
                        default="pending",
                        max_length=20,
                    ),
                ),
                (
                    "percent",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(10),
                            django.core.validators.MaxValueValidator(100),
                        ],
                    ),
                ),
                ("code", models.CharField(blank=True, max_length=24, null=True, unique=True)),
                (
                    "code_number",
                    models.PositiveSmallIntegerField(
                        default=0, help_text="How many codes this grant has had."
                    ),
                ),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                (
                    "price_at_approval",
                    models.PositiveBigIntegerField(blank=True, help_text="Minor units.", null=True),
                ),
                (
                    "currency",
                    models.CharField(
                        choices=[
                            ("usd", "USD"),
                            ("eur", "EUR"),
                            ("gbp", "GBP"),
                            ("aed", "AED"),
                            ("chf", "CHF"),
                            ("cad", "CAD"),
                            ("aud", "AUD"),
                            ("jpy", "JPY"),
                        ],
                        max_length=3,
                    ),
                ),
                (
                    "committed_amount",
                    models.PositiveBigIntegerField(
                        default=0, help_text="Minor units held from the program's budget."
                    ),
                ),
                (
                    "holds_budget",
                    models.BooleanField(
                        default=False,
                        help_text="Whether its program counts it: its amount, and one grant.",
                    ),
                ),
                (
                    "reject_reason",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("budget", "The fund for this period is used up"),
                            (
                                "criteria",
                                "The application does not meet the criteria of the program",
                            ),
                            ("incomplete", "We need more about the situation to decide"),
                            ("other_course", "Another course fits the stated aim better"),
                            ("other", "Another reason, given in the note"),
                        ],
                        max_length=20,
                    ),
                ),
                ("note", models.CharField(blank=True, max_length=500)),
                ("decided_by", models.CharField(blank=True, max_length=140)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                (
                    "enrollment_id",
                    models.UUIDField(
                        blank=True,
                        help_text="The enrollment that holds or used it.",
                        null=True,
                        unique=True,
                    ),
                ),
                ("reserved_at", models.DateTimeField(blank=True, null=True)),
                ("reserved_until", models.DateTimeField(blank=True, null=True)),
                ("redeemed_at", models.DateTimeField(blank=True, null=True)),
                ("redeemed_by", models.CharField(blank=True, max_length=140)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "updated_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "course",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="grants",
                        to="courses.course",
                    ),
                ),
                (
                    "program",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="grants",
                        to="grants.program",
                    ),
                ),
            ],
            options={
                "permissions": (
                    ("decide_grant", "Can approve, reject and change grants"),
                    ("export_grant", "Can export grants"),
                ),
                "indexes": [
                    models.Index(
                        fields=["status", "created_at"], name="grants_gran_status_6b1bfa_idx"
                    ),
                    models.Index(
                        fields=["status", "expires_at"], name="grants_gran_status_f88889_idx"
                    ),
                    models.Index(fields=["-created_at"], name="grants_gran_created_4923aa_idx"),
                    models.Index(fields=["updated_at"], name="grants_gran_updated_d87b6f_idx"),
                    models.Index(
                        fields=["name"], name="grant_name_begins", opclasses=["varchar_pattern_ops"]
                    ),
                    models.Index(
                        fields=["reject_reason", "created_at"],
                        name="grants_gran_reject__3e29d8_idx",
                    ),
                    models.Index(
                        fields=["email"],
                        name="grant_email_begins",
                        opclasses=["varchar_pattern_ops"],
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("status__in", ["pending", "approved", "reserved"])),
                        fields=("course", "email"),
                        name="one_open_grant",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Refusal",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "reason",
                    models.CharField(
                        choices=[
                            ("unknown", "unknown"),
                            ("foreign", "foreign"),
                            ("other_course", "other course"),
                            ("reserved", "reserved"),
                            ("redeemed", "redeemed"),
                            ("expired", "expired"),
                            ("revoked", "revoked"),
                            ("lost_race", "lost race"),
                        ],
                        max_length=20,
                    ),
                ),
                ("course_slug", models.CharField(max_length=140)),
                (
                    "tried_by",
                    models.CharField(
                        help_text="The first letter and the domain of the address.", max_length=150
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "grant",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="refusals",
                        to="grants.grant",
                    ),
                ),
            ],
            options={
                "ordering": ["-created_at"],
                "indexes": [
                    models.Index(
                        fields=["reason", "-created_at"], name="grants_refu_reason_bdd8f0_idx"
                    ),
                    models.Index(fields=["-created_at"], name="grants_refu_created_e49116_idx"),
                    models.Index(
                        fields=["tried_by"],
                        name="refusal_tried_by_begins",
                        opclasses=["varchar_pattern_ops"],
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RefusalCount",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("day", models.DateField()),
                (
                    "reason",
                    models.CharField(
                        choices=[
                            ("unknown", "unknown"),
                            ("foreign", "foreign"),
                            ("other_course", "other course"),
                            ("reserved", "reserved"),
                            ("redeemed", "redeemed"),
                            ("expired", "expired"),
                            ("revoked", "revoked"),
                            ("lost_race", "lost race"),
                        ],
                        max_length=20,
                    ),
                ),
                ("count", models.PositiveIntegerField(default=0)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("day", "reason"), name="one_count_a_day_and_reason"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="GrantEvent",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("what", models.CharField(max_length=40)),
                ("actor", models.CharField(max_length=140)),
                ("note", models.CharField(blank=True, max_length=500)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "grant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="events",
                        to="grants.grant",
                    ),
                ),
            ],
            options={
                "ordering": ["created_at"],
                "indexes": [
                    models.Index(fields=["-created_at"], name="grants_gran_created_d2a5f1_idx")
                ],
            },
        ),
    ]
