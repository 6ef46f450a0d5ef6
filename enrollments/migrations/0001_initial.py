import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import enrollments.models
import maaledu.db
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("courses", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Enrollment",
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
                        default=enrollments.models.new_token,
                        editable=False,
                        max_length=40,
                        unique=True,
                    ),
                ),
                (
                    "email",
                    models.EmailField(
                        max_length=140, validators=[django.core.validators.EmailValidator()]
                    ),
                ),
                ("name", models.CharField(blank=True, max_length=140)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("paid", "paid"),
                            ("free", "free"),
                            ("grant", "grant"),
                            ("partial_grant", "partial grant"),
                        ],
                        max_length=20,
                    ),
                ),
                ("course_title", models.CharField(max_length=200)),
                ("course_slug", models.CharField(max_length=140)),
                ("lms_platform", models.CharField(max_length=20)),
                ("lms_course_id", models.CharField(max_length=255)),
                (
                    "list_price",
                    models.PositiveBigIntegerField(help_text="Minor units, before any discount."),
                ),
                (
                    "amount",
                    models.PositiveBigIntegerField(help_text="Minor units, what is to be paid."),
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
                    "grant_id",
                    models.UUIDField(
                        blank=True, help_text="The grant whose coupon this uses.", null=True
                    ),
                ),
                ("discount_percent", models.PositiveSmallIntegerField(default=0)),
                (
                    "affiliate_id",
                    models.UUIDField(
                        blank=True,
                        help_text="Whose link brought the buyer: who is credited.",
                        null=True,
                    ),
                ),
                ("referral_code", models.CharField(blank=True, max_length=24)),
                (
                    "referral_outcome",
                    models.CharField(
                        blank=True,
                        help_text="credited, or why nobody is: self, inactive, unknown.",
                        max_length=10,
                    ),
                ),
                (
                    "commission_base",
                    models.PositiveBigIntegerField(
                        blank=True,
                        help_text="Minor units: the price before any discount.",
                        null=True,
                    ),
                ),
                (
                    "commission_rate",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Basis points, the affiliate's at checkout.",
                        null=True,
                    ),
                ),
                (
                    "network_key",
                    models.CharField(
                        blank=True,
                        help_text="Keyed hash of the address of a referred checkout.",
                        max_length=64,
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "pending"),
                            ("paid", "paid"),
                            ("failed", "failed"),
                            ("expired", "expired"),
                            ("cancelled", "cancelled"),
                            ("refunded", "refunded"),
                        ],
                        default="pending",
                        max_length=20,
                    ),
                ),
                ("failure_code", models.CharField(blank=True, max_length=40)),
                (
                    "payment_reference",
                    models.CharField(
                        blank=True,
                        db_index=True,
                        help_text="What paid for it: Stripe's payment intent, or FREE.",
                        max_length=255,
                    ),
                ),
                (
                    "lms_status",
                    models.CharField(
                        choices=[
                            ("pending", "pending"),
                            ("retrying", "retrying"),
                            ("failed", "failed"),
                            ("success", "success"),
                            ("revoked", "revoked"),
                        ],
                        default="pending",
                        max_length=20,
                    ),
                ),
                (
                    "access_generation",
                    models.PositiveIntegerField(
                        default=0, help_text="How often access was revoked or given again."
                    ),
                ),
                ("lms_enrollment_id", models.CharField(blank=True, max_length=140)),
                ("lms_synced_at", models.DateTimeField(blank=True, null=True)),
                ("progress_percent", models.PositiveSmallIntegerField(default=0)),
                ("progress_at", models.DateTimeField(blank=True, null=True)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "updated_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("paid_at", models.DateTimeField(blank=True, null=True)),
                (
                    "course",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="enrollments",
                        to="courses.course",
                    ),
                ),
            ],
            options={
                "permissions": (("repair_enrollment", "Can repair the sync of enrollments"),),
            },
        ),
        migrations.CreateModel(
            name="EnrollmentEvent",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("from_status", models.CharField(max_length=20)),
                ("to_status", models.CharField(max_length=20)),
                (
                    "actor",
                    models.CharField(
                        help_text="A Stripe event, the success page, the sweep, or a member of staff.",
                        max_length=140,
                    ),
                ),
                ("note", models.CharField(blank=True, max_length=300)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "enrollment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="events",
                        to="enrollments.enrollment",
                    ),
                ),
            ],
            options={
                "ordering": ["created_at"],
            },
        ),
        migrations.AddIndex(
            model_name="enrollment",
            index=models.Index(
                fields=["course", "email", "status"], name="enrollments_course__e46542_idx"
            ),
        ),
        migrations.AddIndex(
            model_name="enrollment",
            index=models.Index(
                fields=["email", "-created_at"], name="enrollments_email_b94317_idx"
            ),
        ),
        migrations.AddIndex(
            model_name="enrollment",
            index=models.Index(
                fields=["status", "created_at"], name="enrollments_status_5cfaa1_idx"
            ),
        ),
        migrations.AddIndex(
            model_name="enrollment",
            index=models.Index(
                fields=["lms_status", "status"], name="enrollments_lms_sta_a208ce_idx"
            ),
        ),
        migrations.AddIndex(
            model_name="enrollment",
            index=models.Index(
                fields=["affiliate_id", "-created_at"], name="enrollments_affilia_111dfb_idx"
            ),
        ),
        migrations.AddIndex(
            model_name="enrollment",
            index=models.Index(fields=["-created_at"], name="enrollments_created_d0b25a_idx"),
        ),
        migrations.AddConstraint(
            model_name="enrollment",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status__in", ["pending", "paid"])),
                fields=("course", "email"),
                name="one_live_enrollment",
            ),
        ),
        migrations.AddConstraint(
            model_name="enrollment",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status__in", ["pending", "paid"])),
                fields=("grant_id",),
                name="one_live_enrollment_per_grant",
            ),
        ),
        migrations.AddIndex(
            model_name="enrollmentevent",
            index=models.Index(fields=["-created_at"], name="enrollments_created_002159_idx"),
        ),
    ]
