import django.db.models.deletion
import django.utils.timezone
import maaledu.db
import maaledu.tracing
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("enrollments", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Payment",
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
                            ("processing", "processing"),
                            ("paid", "paid"),
                            ("failed", "failed"),
                            ("expired", "expired"),
                            ("cancelled", "cancelled"),
                        ],
                        default="pending",
                        max_length=20,
                    ),
                ),
                ("attempt", models.PositiveSmallIntegerField(default=1)),
                (
                    "amount",
                    models.PositiveBigIntegerField(
                        help_text="Minor units, what Stripe was asked to collect."
                    ),
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
                    "amount_received",
                    models.PositiveBigIntegerField(
                        blank=True, help_text="Minor units, what Stripe says it got.", null=True
                    ),
                ),
                ("currency_received", models.CharField(blank=True, max_length=3)),
                (
                    "refund_committed",
                    models.PositiveBigIntegerField(
                        default=0, help_text="Minor units of all its refunds that have not failed."
                    ),
                ),
                ("idempotency_key", models.CharField(max_length=80, unique=True)),
                (
                    "stripe_session_id",
                    models.CharField(blank=True, max_length=255, null=True, unique=True),
                ),
                (
                    "stripe_payment_intent_id",
                    models.CharField(blank=True, db_index=True, max_length=255),
                ),
                ("checkout_url", models.TextField(blank=True)),
                (
                    "expires_at",
                    models.DateTimeField(
                        help_text="End of the Checkout Session, sent to Stripe in whole seconds."
                    ),
                ),
                (
                    "review_reason",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("late", "late"),
                            ("duplicate", "duplicate"),
                            ("amount_mismatch", "amount mismatch"),
                        ],
                        max_length=20,
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
                ("paid_at", models.DateTimeField(blank=True, null=True)),
                (
                    "enrollment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="payments",
                        to="enrollments.enrollment",
                    ),
                ),
            ],
            options={
                "permissions": (("refund_payment", "Can refund payments"),),
                "indexes": [
                    models.Index(
                        fields=["status", "expires_at"], name="payments_pa_status_04c3f6_idx"
                    ),
                    models.Index(fields=["-created_at"], name="payments_pa_created_3147e3_idx"),
                    models.Index(fields=["updated_at"], name="payments_pa_updated_e44ec3_idx"),
                    models.Index(
                        fields=["currency", "-created_at"], name="payments_pa_currenc_92fc8a_idx"
                    ),
                    models.Index(
                        fields=["review_reason", "status"], name="payments_pa_review__059f9f_idx"
                    ),
                    models.Index(
                        fields=["status", "-created_at"], name="payments_pa_status_21ed42_idx"
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("status__in", ["pending", "processing"])),
                        fields=("enrollment",),
                        name="one_open_payment",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="EarlyFraudWarning",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("payment_intent_id", models.CharField(db_index=True, max_length=255)),
                ("stripe_warning_id", models.CharField(max_length=255, unique=True)),
                ("fraud_type", models.CharField(blank=True, max_length=40)),
                ("is_actionable", models.BooleanField(verbose_name="actionable")),
                (
                    "warned_at",
                    models.DateTimeField(help_text="When the issuer warned, as Stripe says."),
                ),
                (
                    "reported_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When Stripe reported whether it is actionable.",
                        null=True,
                    ),
                ),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                ("closed_by", models.CharField(blank=True, max_length=140)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "updated_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "payment",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="fraud_warnings",
                        to="payments.payment",
                    ),
                ),
            ],
            options={
                "verbose_name": "early fraud warning",
                "permissions": (("close_earlyfraudwarning", "Can close early fraud warnings"),),
                "indexes": [
                    models.Index(
                        fields=["is_actionable", "closed_at"], name="payments_ea_is_acti_d6e798_idx"
                    ),
                    models.Index(fields=["-warned_at"], name="payments_ea_warned__2d34c5_idx"),
                    models.Index(fields=["updated_at"], name="payments_ea_updated_4745a7_idx"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Dispute",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("payment_intent_id", models.CharField(db_index=True, max_length=255)),
                ("stripe_dispute_id", models.CharField(max_length=255, unique=True)),
                ("amount", models.PositiveBigIntegerField(help_text="Minor units.")),
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
                    "status",
                    models.CharField(
                        choices=[
                            ("warning", "warning"),
                            ("open", "open"),
                            ("won", "won"),
                            ("lost", "lost"),
                        ],
                        default="warning",
                        max_length=10,
                    ),
                ),
                ("stripe_status", models.CharField(blank=True, max_length=40)),
                ("reason", models.CharField(blank=True, max_length=40)),
                ("evidence_due_by", models.DateTimeField(blank=True, null=True)),
                (
                    "reported_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When Stripe reported its status and the date of the evidence.",
                        null=True,
                    ),
                ),
                (
                    "movements",
                    models.PositiveSmallIntegerField(
                        db_default=0,
                        default=0,
                        help_text="How often Stripe moved its money, as far as we know.",
                    ),
                ),
                (
                    "is_withdrawn",
                    models.BooleanField(
                        db_default=False,
                        default=False,
                        help_text="The bank has the money.",
                        verbose_name="money withdrawn",
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
                (
                    "payment",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="disputes",
                        to="payments.payment",
                    ),
                ),
            ],
            options={
                "permissions": (("decide_dispute", "Can count disputes as lost"),),
                "indexes": [
                    models.Index(
                        fields=["status", "-created_at"], name="payments_di_status_45cb06_idx"
                    ),
                    models.Index(
                        fields=["payment", "status"], name="payments_di_payment_bd40c7_idx"
                    ),
                    models.Index(fields=["-created_at"], name="payments_di_created_058e13_idx"),
                    models.Index(fields=["evidence_due_by"], name="payments_di_evidenc_1b2371_idx"),
                    models.Index(fields=["updated_at"], name="payments_di_updated_3c7410_idx"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Reconciliation",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("kind", models.CharField(max_length=40, unique=True)),
                (
                    "since",
                    models.DateTimeField(
                        help_text="What was made at Stripe before is not looked at."
                    ),
                ),
                (
                    "after",
                    models.CharField(
                        blank=True,
                        help_text="The last object of the last page that was done.",
                        max_length=255,
                    ),
                ),
                ("looked_at", models.PositiveIntegerField(default=0)),
                ("agreed", models.PositiveIntegerField(default=0)),
                ("mended", models.PositiveIntegerField(default=0)),
                ("unmended", models.PositiveIntegerField(default=0)),
                (
                    "problems",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="The first of those that cannot be mended.",
                    ),
                ),
                (
                    "rebuilt",
                    models.PositiveIntegerField(
                        db_default=0,
                        default=0,
                        help_text="Of those mended: purchases that were not here, and are again.",
                    ),
                ),
                (
                    "rebuilt_names",
                    models.TextField(
                        blank=True,
                        db_default="",
                        default="",
                        help_text="The first of them, one a line.",
                    ),
                ),
                (
                    "failure",
                    models.CharField(blank=True, help_text="What cut the run off.", max_length=600),
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
                        help_text="When the run before this one was finished.",
                        null=True,
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["-started_at"], name="payments_re_started_f78a43_idx")
                ],
            },
        ),
        migrations.CreateModel(
            name="Refund",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("payment_intent_id", models.CharField(db_index=True, max_length=255)),
                (
                    "stripe_refund_id",
                    models.CharField(blank=True, max_length=255, null=True, unique=True),
                ),
                ("idempotency_key", models.CharField(max_length=80, unique=True)),
                ("amount", models.PositiveBigIntegerField(help_text="Minor units.")),
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
                    "status",
                    models.CharField(
                        choices=[
                            ("requested", "requested"),
                            ("pending", "pending"),
                            ("succeeded", "succeeded"),
                            ("failed", "failed"),
                        ],
                        default="requested",
                        max_length=10,
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=40)),
                (
                    "source",
                    models.CharField(
                        choices=[("staff", "staff"), ("stripe", "stripe")], max_length=10
                    ),
                ),
                ("requested_by", models.CharField(blank=True, max_length=140)),
                ("note", models.CharField(blank=True, max_length=300)),
                (
                    "gives_coupon_back",
                    models.BooleanField(
                        default=False, help_text="A full refund reinstates the grant's coupon."
                    ),
                ),
                ("failure_reason", models.CharField(blank=True, max_length=300)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "updated_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "payment",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="refunds",
                        to="payments.payment",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["status", "updated_at"], name="payments_re_status_b7998f_idx"
                    ),
                    models.Index(
                        fields=["payment", "status"], name="payments_re_payment_4444a0_idx"
                    ),
                    models.Index(fields=["-created_at"], name="payments_re_created_6ba6e0_idx"),
                    models.Index(fields=["updated_at"], name="payments_re_updated_76f8ee_idx"),
                ],
            },
        ),
        migrations.CreateModel(
            name="StripeEvent",
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
                ("event_id", models.CharField(max_length=255, unique=True)),
                ("type", models.CharField(max_length=100)),
                ("livemode", models.BooleanField()),
                ("api_version", models.CharField(blank=True, max_length=40)),
                ("session_id", models.CharField(blank=True, db_index=True, max_length=255)),
                ("payload", models.JSONField()),
                ("outcome", models.CharField(blank=True, max_length=60)),
                (
                    "is_fetched",
                    models.BooleanField(
                        db_default=False,
                        default=False,
                        help_text="Found by reconciliation: Stripe could not deliver it.",
                        verbose_name="fetched",
                    ),
                ),
                (
                    "deliveries",
                    models.PositiveIntegerField(
                        db_default=1,
                        default=1,
                        help_text=(
                            "How often it has reached us: Stripe delivers again what was not taken"
                            " in time."
                        ),
                    ),
                ),
            ],
            options={
                "permissions": (("replay_stripeevent", "Can retry and replay Stripe events"),),
                "abstract": False,
                "indexes": [
                    models.Index(
                        fields=["status", "next_attempt_at"], name="payments_st_status_8d04fd_idx"
                    ),
                    models.Index(fields=["claim_token"], name="payments_st_claim_t_585637_idx"),
                    models.Index(fields=["-created_at"], name="payments_st_created_527613_idx"),
                    models.Index(
                        fields=["type", "-created_at"], name="payments_st_type_9dea3b_idx"
                    ),
                    models.Index(
                        condition=models.Q(("status", "done")),
                        fields=["finished_at"],
                        name="stripeevent_done",
                    ),
                    models.Index(fields=["request_id"], name="payments_st_request_b46fa1_idx"),
                    models.Index(
                        condition=models.Q(("is_fetched", True)),
                        fields=["-created_at"],
                        name="event_fetched",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="WebhookProblem",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("secret", "secret"),
                            ("clock", "clock"),
                            ("version", "version"),
                            ("thin", "thin"),
                            ("mode", "mode"),
                        ],
                        max_length=10,
                    ),
                ),
                ("detail", models.CharField(blank=True, max_length=40)),
                ("explanation", models.CharField(blank=True, max_length=300)),
                (
                    "first_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "last_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
            ],
            options={
                "permissions": (("check_webhookproblem", "Can check the connection to Stripe"),),
                "indexes": [
                    models.Index(fields=["-last_at"], name="payments_we_last_at_885bd4_idx")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("kind", "detail"), name="one_row_per_webhook_problem"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="RefundRequest",
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
                            ("open", "open"),
                            ("refunded", "refunded"),
                            ("declined", "declined"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                (
                    "reason",
                    models.TextField(blank=True, help_text="The learner's own words, if any."),
                ),
                (
                    "note",
                    models.TextField(
                        blank=True, help_text="What the learner reads, where it is declined."
                    ),
                ),
                ("decided_by", models.CharField(blank=True, max_length=140)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "updated_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "payment",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="refund_request",
                        to="payments.payment",
                    ),
                ),
            ],
            options={
                "permissions": (
                    ("decide_refundrequest", "Can decide about learners' refund requests"),
                ),
                "indexes": [
                    models.Index(
                        fields=["status", "created_at"], name="payments_re_status_9d8b07_idx"
                    ),
                    models.Index(fields=["-created_at"], name="payments_re_created_8d5b48_idx"),
                ],
            },
        ),
    ]
