import django.db.models.deletion
import django.utils.timezone
import maaledu.db
import maaledu.tracing
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="CallFigure",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("platform", models.CharField(max_length=20)),
                ("step", models.CharField(max_length=40)),
                (
                    "span",
                    models.CharField(choices=[("hour", "hour"), ("day", "day")], max_length=4),
                ),
                ("starts_at", models.DateTimeField()),
                ("calls", models.PositiveBigIntegerField(default=0)),
                (
                    "failed",
                    models.PositiveBigIntegerField(
                        default=0,
                        help_text="Without an answer of the LMS's own, or with one of its breakdowns.",
                    ),
                ),
                (
                    "refused",
                    models.PositiveBigIntegerField(default=0, help_text="Answered by a refusal."),
                ),
                (
                    "total_ms",
                    models.PositiveBigIntegerField(default=0, verbose_name="total time in ms"),
                ),
                ("within_100", models.PositiveBigIntegerField(default=0)),
                ("within_300", models.PositiveBigIntegerField(default=0)),
                ("within_1000", models.PositiveBigIntegerField(default=0)),
                ("within_3000", models.PositiveBigIntegerField(default=0)),
                ("within_10000", models.PositiveBigIntegerField(default=0)),
                (
                    "passed_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When a call was last answered, also by a refusal.",
                        null=True,
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["span", "starts_at"], name="lms_sync_ca_span_511e78_idx")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("platform", "step", "span", "starts_at"), name="one_figure_per_step"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PlatformState",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=20, unique=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("closed", "Answering"),
                            ("open", "Unavailable"),
                            ("half_open", "Being probed"),
                            ("parked", "Misconfigured"),
                        ],
                        default="closed",
                        max_length=10,
                    ),
                ),
                (
                    "failures",
                    models.PositiveIntegerField(
                        default=0, help_text="Consecutive ones, while answering."
                    ),
                ),
                (
                    "opened_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="Since when it does not answer.",
                        null=True,
                        verbose_name="unavailable since",
                    ),
                ),
                (
                    "retry_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When the next probe is due, or the next ping while it is closed.",
                        null=True,
                        verbose_name="next look",
                    ),
                ),
                ("probe_token", models.CharField(blank=True, max_length=32)),
                (
                    "probe_asked_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="By staff; the worker makes it.",
                        null=True,
                        verbose_name="probe asked for",
                    ),
                ),
                (
                    "next_call_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="The first moment at which nobody calls yet; see `pace`.",
                        null=True,
                    ),
                ),
                (
                    "paused_until",
                    models.DateTimeField(
                        blank=True,
                        help_text="Before then nobody calls, as it has asked.",
                        null=True,
                    ),
                ),
                (
                    "recovered_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="End of the last outage: the rate rises from then on.",
                        null=True,
                    ),
                ),
                (
                    "no_new_users_before",
                    models.DateTimeField(
                        blank=True,
                        help_text="It makes no new users before then; who has one goes on.",
                        null=True,
                    ),
                ),
                (
                    "incident",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "None"),
                            ("unavailable", "Unavailable"),
                            ("misconfigured", "Misconfigured"),
                        ],
                        help_text="Until a job succeeds.",
                        max_length=16,
                    ),
                ),
                (
                    "alert_pending",
                    models.BooleanField(
                        default=False, help_text="Staff have not been alerted of the incident yet."
                    ),
                ),
                (
                    "unavailable_alerted_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When staff were last alerted that it is unavailable.",
                        null=True,
                    ),
                ),
                (
                    "misconfigured_alerted_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When staff were last alerted that it is misconfigured.",
                        null=True,
                    ),
                ),
                ("last_error", models.CharField(blank=True, max_length=600)),
                ("last_ok_at", models.DateTimeField("last answer", blank=True, null=True)),
                (
                    "latency_ms",
                    models.PositiveIntegerField("answer time in ms", blank=True, null=True),
                ),
                (
                    "grant_fields_refused_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When its own method last refused them as unknown: they are left out since.",
                        null=True,
                        verbose_name="grant fields refused",
                    ),
                ),
                (
                    "updated_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
            ],
            options={
                "verbose_name": "platform",
                "permissions": (("probe_platformstate", "Can probe platforms"),),
            },
        ),
        migrations.CreateModel(
            name="SyncLock",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("key", models.CharField(max_length=64, unique=True)),
                ("owner", models.CharField(max_length=32)),
                ("until", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="SyncJob",
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
                (
                    "dedupe_key",
                    models.CharField(
                        help_text="One job for one cause, such as enroll:<enrollment id>.",
                        max_length=120,
                        unique=True,
                    ),
                ),
                (
                    "action",
                    models.CharField(
                        choices=[
                            ("enroll", "enroll"),
                            ("revoke", "revoke"),
                            ("look", "look"),
                            ("repair", "repair"),
                            ("leave", "leave"),
                        ],
                        default="enroll",
                        max_length=10,
                    ),
                ),
                ("platform", models.CharField(max_length=20)),
                (
                    "is_alone",
                    models.BooleanField(
                        db_default=False,
                        default=False,
                        help_text="A call for many left it out: asked by itself.",
                    ),
                ),
                (
                    "batch_id",
                    models.UUIDField(
                        blank=True,
                        help_text="The batch of enrollments that this job is one of.",
                        null=True,
                    ),
                ),
                ("email", models.EmailField(max_length=254)),
                ("full_name", models.CharField(blank=True, max_length=255)),
                ("course_id", models.CharField(max_length=255, verbose_name="LMS course")),
                (
                    "payload",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        help_text="payment_id, amount in minor units, currency, referral_code.",
                    ),
                ),
                (
                    "lms_enrollment_id",
                    models.CharField(blank=True, max_length=255, verbose_name="LMS enrollment"),
                ),
                (
                    "needs_account",
                    models.BooleanField(
                        db_default=False,
                        default=False,
                        help_text="It waits while no new users are made there.",
                    ),
                ),
                (
                    "look_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="Set while the learner has no account on the platform yet.",
                        null=True,
                        verbose_name="next look for an account",
                    ),
                ),
                (
                    "lms_origin",
                    models.CharField(
                        blank=True,
                        choices=[("made", "made by us"), ("found", "found there")],
                        db_default="",
                        default="",
                        max_length=5,
                        verbose_name="made or found",
                    ),
                ),
                (
                    "creates_sent",
                    models.PositiveSmallIntegerField(
                        db_default=0,
                        default=0,
                        help_text="Requests that made an enrollment there, or may have.",
                    ),
                ),
                (
                    "lms_user_made",
                    models.BooleanField(
                        db_default=False,
                        default=False,
                        help_text="We made the user there.",
                        verbose_name="LMS user is ours",
                    ),
                ),
            ],
            options={
                "verbose_name": "sync job",
                "permissions": (("replay_syncjob", "Can retry and replay sync jobs"),),
                "abstract": False,
                "indexes": [
                    models.Index(
                        fields=["status", "next_attempt_at"], name="lms_sync_sy_status_bbe0e2_idx"
                    ),
                    models.Index(fields=["claim_token"], name="lms_sync_sy_claim_t_590dc2_idx"),
                    models.Index(fields=["-created_at"], name="lms_sync_sy_created_53c256_idx"),
                    models.Index(
                        fields=["platform", "status", "next_attempt_at"],
                        name="lms_sync_sy_platfor_a5ffb5_idx",
                    ),
                    models.Index(
                        fields=["status", "needs_account", "next_attempt_at"],
                        name="lms_sync_sy_status_0c2533_idx",
                    ),
                    models.Index(
                        fields=["batch_id", "status"], name="lms_sync_sy_batch_i_553457_idx"
                    ),
                    models.Index(fields=["look_at"], name="lms_sync_sy_look_at_2a6124_idx"),
                    models.Index(
                        condition=models.Q(("status", "done")),
                        fields=["finished_at"],
                        name="syncjob_done",
                    ),
                    models.Index(
                        fields=["email"],
                        name="sync_job_email_begins",
                        opclasses=["varchar_pattern_ops"],
                    ),
                    models.Index(fields=["request_id"], name="lms_sync_sy_request_8da3a7_idx"),
                    models.Index(
                        fields=["action", "-created_at"], name="lms_sync_sy_action_b248f2_idx"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SyncAttempt",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("started_at", models.DateTimeField()),
                ("duration_ms", models.PositiveIntegerField()),
                ("request", models.TextField(blank=True)),
                ("response", models.TextField(blank=True)),
                ("http_status", models.PositiveSmallIntegerField(blank=True, null=True)),
                (
                    "outcome",
                    models.CharField(help_text="done, or the code of the error.", max_length=40),
                ),
                (
                    "job",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="records",
                        to="lms_sync.syncjob",
                    ),
                ),
            ],
            options={
                "verbose_name": "sync attempt",
                "ordering": ["started_at"],
                "indexes": [
                    models.Index(
                        fields=["job", "started_at"], name="lms_sync_sy_job_id_a32dd9_idx"
                    ),
                    models.Index(fields=["-started_at"], name="lms_sync_sy_started_6b5ab3_idx"),
                    models.Index(
                        fields=["outcome", "-started_at"], name="lms_sync_sy_outcome_1285b0_idx"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="DeadLetter",
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
                            ("open", "Open"),
                            ("replayed", "Replayed"),
                            ("dismissed", "Settled"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                (
                    "reason",
                    models.CharField(help_text="The code of the last error.", max_length=40),
                ),
                ("last_error", models.TextField(blank=True)),
                ("last_http_status", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("first_attempt_at", models.DateTimeField()),
                ("last_attempt_at", models.DateTimeField()),
                ("requires_manual_review", models.BooleanField(default=True)),
                ("notification_sent_at", models.DateTimeField(blank=True, null=True)),
                ("resolved_by", models.CharField(blank=True, max_length=254)),
                ("resolved_at", models.DateTimeField(blank=True, null=True)),
                (
                    "settled_how",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("refunded", "The learner has the money back"),
                            ("by_hand", "Put right in the LMS by hand"),
                            ("withdrew", "The learner withdrew"),
                            ("duplicate", "The learner has it by another enrollment"),
                        ],
                        db_default="",
                        default="",
                        max_length=10,
                    ),
                ),
                ("note", models.CharField(blank=True, max_length=300)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "updated_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "job",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="dead_letter",
                        to="lms_sync.syncjob",
                    ),
                ),
            ],
            options={
                "verbose_name": "dead letter",
                "permissions": (
                    ("replay_deadletter", "Can replay dead letters"),
                    ("dismiss_deadletter", "Can dismiss dead letters"),
                ),
                "indexes": [
                    models.Index(
                        fields=["status", "notification_sent_at"],
                        name="lms_sync_de_status_300dd6_idx",
                    ),
                    models.Index(fields=["-created_at"], name="lms_sync_de_created_4e5d9b_idx"),
                    models.Index(fields=["last_attempt_at"], name="lms_sync_de_last_at_67e4cc_idx"),
                ],
            },
        ),
    ]
