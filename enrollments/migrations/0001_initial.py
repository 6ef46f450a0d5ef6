import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import enrollments.models
import maaledu.db
import maaledu.tracing
from django.db import migrations, models

# Without it PostgreSQL takes both columns for independent: it expects that many are paid and without
# access, as many of the unpaid are, and reads all paid ones for the few that there are.
STATISTICS = """
CREATE STATISTICS IF NOT EXISTS enrollment_access (mcv) ON status, lms_status
    FROM enrollments_enrollment
"""


def add_statistics(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(STATISTICS)


def drop_statistics(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP STATISTICS IF EXISTS enrollment_access")


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
                            ("invited", "invited"),
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
                (
                    "batch_id",
                    models.UUIDField(
                        blank=True,
                        db_index=True,
                        help_text="The batch that this is one of.",
                        null=True,
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
                    "referral_label",
                    models.CharField(blank=True, db_default="", default="", max_length=30),
                ),
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
                        help_text="Hash of its address.",
                        max_length=64,
                    ),
                ),
                (
                    "mails_affiliate",
                    models.BooleanField(
                        db_default=False,
                        default=False,
                        help_text="Its affiliate wants a mail for each sale.",
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
                            ("withdrawn", "withdrawn"),
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
                            ("awaiting_account", "waiting for the learner's account"),
                            ("failed", "failed"),
                            ("success", "success"),
                            ("lost", "lost in the LMS"),
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
                (
                    "lms_origin",
                    models.CharField(
                        blank=True,
                        choices=[("made", "made by us"), ("found", "found there")],
                        db_default="",
                        default="",
                        help_text=(
                            "Whether we made the enrollment there, or found it: only ours is taken"
                            " away."
                        ),
                        max_length=5,
                    ),
                ),
                (
                    "lms_user_made",
                    models.BooleanField(
                        db_default=False,
                        default=False,
                        help_text="We made the learner's user there.",
                    ),
                ),
                ("lms_enrollment_id", models.CharField(blank=True, max_length=255)),
                ("lms_synced_at", models.DateTimeField(blank=True, null=True)),
                (
                    "progress_percent",
                    models.PositiveSmallIntegerField(
                        blank=True, help_text="Empty: the LMS does not show it.", null=True
                    ),
                ),
                (
                    "progress_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="Since when this is known; empty: never heard.",
                        null=True,
                    ),
                ),
                (
                    "progress_due_at",
                    models.DateTimeField(
                        blank=True,
                        default=django.utils.timezone.now,
                        help_text="When the LMS is to be asked next.",
                        null=True,
                    ),
                ),
                (
                    "request_id",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default=maaledu.tracing.current,
                        help_text="Of the request that began it, as in the log, in e-mails and at the LMS.",
                        max_length=64,
                        verbose_name="request id",
                    ),
                ),
                (
                    "completed_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="Since when the LMS says that the course is completed.",
                        null=True,
                    ),
                ),
                ("has_certificate", models.BooleanField(db_default=False, default=False)),
                (
                    "certificate_url",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default="",
                        help_text="On the LMS's own host.",
                        max_length=500,
                    ),
                ),
                (
                    "certificate_on",
                    models.DateField(blank=True, null=True, verbose_name="certificate of"),
                ),
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
                    "rebuilt_at",
                    models.DateTimeField(
                        blank=True,
                        help_text=(
                            "When it was made again from what Stripe knows, after a backup was"
                            " restored."
                        ),
                        null=True,
                    ),
                ),
                (
                    "forgotten_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="Since when it names nobody: the account was deleted.",
                        null=True,
                    ),
                ),
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
                "permissions": (
                    ("repair_enrollment", "Can repair the sync of enrollments"),
                    (
                        "move_enrollment",
                        "Can move enrollments to another address, and correct names",
                    ),
                    ("comp_enrollment", "Can enroll for free, and take free enrollments away"),
                ),
                "indexes": [
                    models.Index(fields=["rebuilt_at"], name="enrollments_rebuilt_9d78e5_idx"),
                    models.Index(
                        fields=["lms_enrollment_id"], name="enrollments_lms_enr_936730_idx"
                    ),
                    models.Index(
                        condition=models.Q(("lms_status", "success"), ("status", "paid")),
                        fields=["lms_platform", "progress_due_at"],
                        name="enrollment_progress_due",
                    ),
                    models.Index(
                        fields=["course", "email", "status"], name="enrollments_course__e46542_idx"
                    ),
                    models.Index(
                        fields=["email", "-created_at"], name="enrollments_email_b94317_idx"
                    ),
                    models.Index(
                        fields=["status", "created_at"], name="enrollments_status_5cfaa1_idx"
                    ),
                    models.Index(
                        fields=["lms_status", "status", "-created_at"],
                        name="enrollments_lms_sta_904c27_idx",
                    ),
                    models.Index(
                        fields=["affiliate_id", "-created_at"],
                        name="enrollments_affilia_111dfb_idx",
                    ),
                    models.Index(fields=["-created_at"], name="enrollments_created_d0b25a_idx"),
                    models.Index(fields=["updated_at"], name="enrollments_updated_5c3ff7_idx"),
                    models.Index(
                        fields=["email"],
                        name="enrollment_email_begins",
                        opclasses=["varchar_pattern_ops"],
                    ),
                    models.Index(
                        fields=["name"],
                        name="enrollment_name_begins",
                        opclasses=["varchar_pattern_ops"],
                    ),
                    models.Index(fields=["request_id"], name="enrollments_request_2dafea_idx"),
                    models.Index(
                        fields=["kind", "-created_at"], name="enrollments_kind_d83b9a_idx"
                    ),
                    models.Index(
                        fields=["lms_platform", "-created_at"],
                        name="enrollments_lms_pla_074225_idx",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("status__in", ["pending", "paid"])),
                        fields=("course", "email"),
                        name="one_live_enrollment",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("status__in", ["pending", "paid"])),
                        fields=("grant_id",),
                        name="one_live_enrollment_per_grant",
                    ),
                ],
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
                "indexes": [
                    models.Index(fields=["-created_at"], name="enrollments_created_002159_idx"),
                    models.Index(
                        fields=["to_status", "-created_at"], name="enrollments_to_stat_46549b_idx"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="EnrollmentBatch",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("reason", models.CharField(max_length=300)),
                (
                    "payer",
                    models.CharField(
                        help_text="Who pays for the enrollments, or answers.", max_length=140
                    ),
                ),
                (
                    "digest",
                    models.CharField(
                        help_text="Of course, rows, reason and payer: the same list is one batch.",
                        max_length=64,
                        unique=True,
                    ),
                ),
                (
                    "source",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="The lines of a draft: number, e-mail, name.",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("draft", "draft"),
                            ("started", "started"),
                            ("stopped", "stopped"),
                            ("discarded", "discarded"),
                        ],
                        default="draft",
                        max_length=10,
                    ),
                ),
                ("drafted_by", models.CharField(max_length=254)),
                ("started_by", models.CharField(blank=True, max_length=254)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "updated_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                (
                    "course",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="batches",
                        to="courses.course",
                    ),
                ),
            ],
            options={
                "verbose_name": "enrollment batch",
                "verbose_name_plural": "enrollment batches",
                "permissions": (("enroll_enrollmentbatch", "Can enroll many learners at once"),),
                "indexes": [
                    models.Index(fields=["-created_at"], name="enrollments_created_51b6f5_idx"),
                ],
            },
        ),
        migrations.CreateModel(
            name="BatchRow",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "pending"),
                            ("running", "running"),
                            ("done", "done"),
                            ("dead", "dead"),
                        ],
                        default="pending",
                        max_length=10,
                    ),
                ),
                (
                    "attempts",
                    models.PositiveIntegerField(
                        default=0,
                        help_text="Answers about this item itself; an outage uses none up.",
                    ),
                ),
                ("next_attempt_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                ("claim_token", models.CharField(blank=True, max_length=32)),
                (
                    "fence",
                    models.PositiveIntegerField(
                        default=0, help_text="Number of claims; a settle must carry its own."
                    ),
                ),
                (
                    "lapses",
                    models.PositiveIntegerField(
                        default=0, help_text="Leases that ran out: workers lost while running this."
                    ),
                ),
                ("last_error", models.CharField(blank=True, max_length=1000)),
                (
                    "request_id",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default=maaledu.tracing.current,
                        help_text="Of the request that began it, as in the log, in e-mails and at the LMS.",
                        max_length=64,
                        verbose_name="request id",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "updated_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("number", models.PositiveIntegerField(verbose_name="line")),
                ("platform", models.CharField(max_length=20)),
                (
                    "address",
                    models.CharField(help_text="As in the file, where it is none.", max_length=254),
                ),
                ("name", models.CharField(blank=True, max_length=140)),
                (
                    "problem",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("address", "not an e-mail address"),
                            ("name", "the name is too long or no plain text"),
                            ("duplicate", "the address is in the file already"),
                            ("enrolled", "already enrolled"),
                            ("in_checkout", "is paying for it just now"),
                            ("stopped", "the batch was stopped before it was their turn"),
                        ],
                        max_length=20,
                    ),
                ),
                (
                    "enrollment",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="batch_row",
                        to="enrollments.enrollment",
                    ),
                ),
                (
                    "batch",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="enrollments.enrollmentbatch",
                    ),
                ),
            ],
            options={
                "verbose_name": "row of a batch",
                "verbose_name_plural": "rows of batches",
                "permissions": (("replay_batchrow", "Can retry and replay rows of batches"),),
                "abstract": False,
                "indexes": [
                    models.Index(
                        fields=["status", "next_attempt_at"], name="enrollments_status_f8dc26_idx"
                    ),
                    models.Index(fields=["claim_token"], name="enrollments_claim_t_f78aea_idx"),
                    models.Index(fields=["-created_at"], name="enrollments_created_ab45bc_idx"),
                    models.Index(fields=["batch", "status"], name="enrollments_batch_i_5910f4_idx"),
                    models.Index(
                        condition=models.Q(("status", "done")),
                        fields=["finished_at"],
                        name="batchrow_done",
                    ),
                    models.Index(
                        fields=["address"],
                        name="batch_row_address_begins",
                        opclasses=["varchar_pattern_ops"],
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("batch", "number"), name="one_row_per_line"),
                ],
            },
        ),
        migrations.CreateModel(
            name="AccessComparison",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("platform", models.CharField(max_length=20, unique=True)),
                (
                    "phase",
                    models.CharField(
                        choices=[
                            ("paid", "paid enrollments"),
                            ("ended", "ended enrollments"),
                            ("unseen", "earlier differences"),
                        ],
                        default="paid",
                        max_length=10,
                    ),
                ),
                (
                    "after",
                    models.UUIDField(
                        blank=True,
                        help_text="The last enrollment of the last page that was done.",
                        null=True,
                    ),
                ),
                (
                    "pages",
                    models.PositiveIntegerField(
                        default=0,
                        help_text="Of all comparisons: two at a time do not write over each other.",
                    ),
                ),
                ("looked_at", models.PositiveIntegerField(default=0)),
                (
                    "counts",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        help_text="How many agree, cannot be judged now (mostly a job is on its way), or differ, by kind; and how many of those that differ were not known before.",
                    ),
                ),
                (
                    "failure",
                    models.CharField(blank=True, help_text="What cut it off.", max_length=600),
                ),
                (
                    "started_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "updated_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "finished_before_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When the one before this was finished.",
                        null=True,
                    ),
                ),
            ],
            options={
                "verbose_name": "comparison of access",
                "verbose_name_plural": "comparisons of access",
                "indexes": [
                    models.Index(fields=["-started_at"], name="enrollments_started_1cced7_idx"),
                ],
            },
        ),
        migrations.CreateModel(
            name="AccessDifference",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("missing", "paid without access"),
                            ("less", "less than was paid for"),
                            ("unpaid", "access without a paid enrollment"),
                            ("elsewhere", "different course"),
                            ("double", "duplicate"),
                        ],
                        max_length=10,
                        verbose_name="what differs",
                    ),
                ),
                ("platform", models.CharField(max_length=20)),
                ("course_id", models.CharField(max_length=255, verbose_name="LMS course")),
                ("rows", models.JSONField(blank=True, default=list)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("open", "open"),
                            ("repairing", "being repaired"),
                            ("left", "left as it is"),
                            ("settled", "settled"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                (
                    "repairs",
                    models.PositiveIntegerField(
                        default=0,
                        help_text="How often a repair was begun.",
                    ),
                ),
                ("opened_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "seen_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now,
                        help_text="When the LMS showed it last, at a comparison.",
                    ),
                ),
                (
                    "reason",
                    models.CharField(
                        blank=True,
                        help_text="Why it was left as it is.",
                        max_length=300,
                    ),
                ),
                (
                    "alerted_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When staff were alerted of it, since it was opened last.",
                        null=True,
                    ),
                ),
                ("decided_by", models.CharField(blank=True, max_length=254)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("settled_at", models.DateTimeField(blank=True, null=True)),
                (
                    "updated_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "enrollment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="access_differences",
                        to="enrollments.enrollment",
                    ),
                ),
            ],
            options={
                "verbose_name": "difference of access",
                "verbose_name_plural": "differences of access",
                "permissions": (("repair_accessdifference", "Can repair differences of access"),),
                "indexes": [
                    models.Index(fields=["status", "kind"], name="enrollments_status_6ca987_idx"),
                    models.Index(
                        fields=["platform", "status", "seen_at"],
                        name="enrollments_platfor_4a3c4a_idx",
                    ),
                    models.Index(fields=["-opened_at"], name="enrollments_opened__c66f7c_idx"),
                    models.Index(fields=["course_id"], name="enrollments_course__f4c830_idx"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("enrollment", "kind"),
                        name="one_difference_of_a_kind",
                    ),
                ],
            },
        ),
        migrations.RunPython(add_statistics, drop_statistics),
    ]
