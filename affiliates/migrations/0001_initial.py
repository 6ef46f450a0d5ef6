import affiliates.codes
import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import maaledu.db
from django.conf import settings
from django.db import migrations, models

from affiliates import immutability


def install_triggers(apps, schema_editor):
    immutability.LEDGER.install(schema_editor.connection)


def remove_triggers(apps, schema_editor):
    immutability.LEDGER.remove(schema_editor.connection)


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Affiliate",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("email", models.EmailField(max_length=140, unique=True)),
                (
                    "alias_key",
                    models.CharField(
                        db_index=True,
                        help_text="The address without plus tag and dots, to compare only.",
                        max_length=140,
                    ),
                ),
                (
                    "name",
                    models.CharField(help_text="Shown to buyers: referred by ...", max_length=140),
                ),
                (
                    "code",
                    models.CharField(default=affiliates.codes.new_code, max_length=24, unique=True),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("applied", "applied"),
                            ("active", "active"),
                            ("suspended", "suspended"),
                            ("closed", "closed"),
                        ],
                        default="applied",
                        max_length=12,
                    ),
                ),
                ("status_reason", models.CharField(blank=True, max_length=300)),
                (
                    "rate_basis_points",
                    models.PositiveIntegerField(
                        validators=[django.core.validators.MaxValueValidator(10000)]
                    ),
                ),
                (
                    "payout_method",
                    models.CharField(
                        choices=[
                            ("paypal", "PayPal"),
                            ("bank", "Bank transfer"),
                            ("later", "Decide later"),
                        ],
                        default="later",
                        max_length=10,
                    ),
                ),
                ("payee_name", models.CharField(blank=True, max_length=140)),
                (
                    "payout_sealed",
                    models.TextField(blank=True, help_text="IBAN or PayPal address, encrypted."),
                ),
                (
                    "payout_hint",
                    models.CharField(
                        blank=True, help_text="What may be shown of it.", max_length=80
                    ),
                ),
                (
                    "payout_key",
                    models.CharField(
                        blank=True,
                        db_index=True,
                        help_text="Keyed hash, to find equal accounts.",
                        max_length=64,
                    ),
                ),
                (
                    "sale_mails",
                    models.CharField(
                        choices=[
                            ("never", "None"),
                            ("each", "One for each sale"),
                            ("daily", "One a day with sales"),
                        ],
                        db_default="never",
                        default="never",
                        max_length=5,
                        verbose_name="mails about sales",
                    ),
                ),
                ("tax_country", models.CharField(max_length=2)),
                ("terms_accepted_at", models.DateTimeField()),
                (
                    "network_key",
                    models.CharField(
                        blank=True,
                        db_index=True,
                        help_text="Keyed hash of the latest address.",
                        max_length=64,
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
                ("activated_at", models.DateTimeField(blank=True, null=True)),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="affiliate",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "permissions": (
                    ("review_affiliate", "Can approve, suspend, reinstate and close affiliates"),
                    ("adjust_affiliate", "Can adjust an affiliate's balance and rate"),
                ),
                "indexes": [
                    models.Index(
                        fields=["status", "payout_method"], name="affiliates__status_045e70_idx"
                    ),
                    models.Index(fields=["sale_mails"], name="affiliates__sale_ma_6e5700_idx"),
                    models.Index(
                        fields=["status", "-rate_basis_points"],
                        name="affiliates__status_60e382_idx",
                    ),
                    models.Index(fields=["-created_at"], name="affiliates__created_7acf24_idx"),
                    models.Index(
                        fields=["name"],
                        name="affiliate_name_begins",
                        opclasses=["varchar_pattern_ops"],
                    ),
                    models.Index(
                        fields=["payee_name"],
                        name="affiliate_payee_begins",
                        opclasses=["varchar_pattern_ops"],
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Balance",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
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
                ("pending", models.BigIntegerField(default=0)),
                ("payable", models.BigIntegerField(default=0)),
                ("paid", models.BigIntegerField(default=0)),
                ("held", models.BigIntegerField(default=0)),
                ("matured_through", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "matures_at",
                    models.DateTimeField(
                        blank=True,
                        db_index=True,
                        help_text="When the next pending entry becomes payable.",
                        null=True,
                    ),
                ),
                ("version", models.PositiveBigIntegerField(default=0)),
                (
                    "affiliate",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="balances",
                        to="affiliates.affiliate",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["currency", "payable"], name="affiliates__currenc_966a64_idx"
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("affiliate", "currency"),
                        name="one_balance_per_affiliate_and_currency",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Commission",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("enrollment_id", models.UUIDField(unique=True)),
                ("course_slug", models.CharField(max_length=140)),
                ("course_title", models.CharField(max_length=200)),
                (
                    "base",
                    models.PositiveBigIntegerField(
                        help_text="Minor units: the list price before any discount."
                    ),
                ),
                ("rate_basis_points", models.PositiveIntegerField()),
                ("amount", models.PositiveBigIntegerField(help_text="Minor units.")),
                (
                    "reversed",
                    models.PositiveBigIntegerField(
                        default=0, help_text="Minor units, at most the amount."
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
                    "steps",
                    models.PositiveIntegerField(
                        default=0, help_text="How many reversal entries there are."
                    ),
                ),
                (
                    "is_disputed",
                    models.BooleanField(
                        default=False,
                        help_text=(
                            "By a dispute, by money that the bank has, or by an open early fraud"
                            " warning."
                        ),
                        verbose_name="sale in doubt",
                    ),
                ),
                ("is_under_review", models.BooleanField(default=False)),
                ("review_note", models.CharField(blank=True, max_length=300)),
                ("available_at", models.DateTimeField()),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "updated_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "affiliate",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="commissions",
                        to="affiliates.affiliate",
                    ),
                ),
            ],
            options={
                "permissions": (("review_commission", "Can hold and release commissions"),),
                "indexes": [
                    models.Index(
                        fields=["affiliate", "-created_at"], name="affiliates__affilia_ff7df6_idx"
                    ),
                    models.Index(
                        fields=["affiliate", "is_disputed"], name="affiliates__affilia_82317e_idx"
                    ),
                    models.Index(
                        fields=["affiliate", "is_under_review"],
                        name="affiliates__affilia_7a5931_idx",
                    ),
                    models.Index(fields=["-created_at"], name="affiliates__created_1c0526_idx"),
                    models.Index(
                        fields=["currency", "-created_at"], name="affiliates__currenc_b65fda_idx"
                    ),
                    models.Index(fields=["updated_at"], name="affiliates__updated_7ba8ae_idx"),
                ],
            },
        ),
        migrations.CreateModel(
            name="FraudSignal",
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
                            ("same_address", "A purchase from the affiliate's own address"),
                            ("same_device", "A purchase on the affiliate's own device"),
                            ("alias_email", "A purchase with a variant of the affiliate's e-mail"),
                            ("one_address", "Many purchases from one address"),
                            ("refund_rate", "Many sales refunded"),
                            ("grants_only", "Used only with grants of 90 % and more"),
                            ("shared_account", "Paid to the same account as another affiliate"),
                        ],
                        max_length=16,
                    ),
                ),
                ("dedupe_key", models.CharField(max_length=120, unique=True)),
                ("enrollment_id", models.UUIDField(blank=True, null=True)),
                ("detail", models.CharField(max_length=300)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("open", "open"),
                            ("cleared", "cleared"),
                            ("confirmed", "confirmed"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                ("reviewed_by", models.CharField(blank=True, max_length=140)),
                ("reviewed_at", models.DateTimeField(blank=True, null=True)),
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
                    "affiliate",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="signals",
                        to="affiliates.affiliate",
                    ),
                ),
            ],
            options={
                "verbose_name": "fraud signal",
                "permissions": (("review_fraudsignal", "Can review fraud signals"),),
                "indexes": [
                    models.Index(
                        fields=["status", "-created_at"], name="affiliates__status_fa2163_idx"
                    ),
                    models.Index(
                        fields=["affiliate", "status"], name="affiliates__affilia_01a92a_idx"
                    ),
                    models.Index(fields=["-created_at"], name="affiliates__created_94d57f_idx"),
                    models.Index(fields=["enrollment_id"], name="affiliates__enrollm_c57e5b_idx"),
                ],
            },
        ),
        migrations.CreateModel(
            name="LedgerEntry",
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
                            ("commission", "Commission"),
                            ("reversal", "Reversal"),
                            ("adjustment", "Adjustment"),
                            ("payout", "Payout"),
                            ("payout_cancelled", "Payout cancelled"),
                        ],
                        max_length=16,
                    ),
                ),
                (
                    "amount",
                    models.BigIntegerField(help_text="Minor units; plus is owed to the affiliate."),
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
                    "base",
                    models.PositiveBigIntegerField(
                        blank=True, help_text="Minor units that the rate was applied to.", null=True
                    ),
                ),
                ("rate_basis_points", models.PositiveIntegerField(blank=True, null=True)),
                ("enrollment_id", models.UUIDField(blank=True, db_index=True, null=True)),
                ("payout_id", models.UUIDField(blank=True, db_index=True, null=True)),
                ("source_key", models.CharField(max_length=120, unique=True)),
                ("available_at", models.DateTimeField()),
                ("created_by", models.CharField(max_length=140)),
                ("note", models.CharField(blank=True, max_length=300)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "affiliate",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="entries",
                        to="affiliates.affiliate",
                    ),
                ),
            ],
            options={
                "verbose_name": "ledger entry",
                "verbose_name_plural": "ledger entries",
                "indexes": [
                    models.Index(
                        fields=["affiliate", "-created_at", "-id"],
                        name="affiliates__affilia_9b6c30_idx",
                    ),
                    models.Index(
                        fields=["affiliate", "currency", "available_at"],
                        name="affiliates__affilia_72e663_idx",
                    ),
                    models.Index(
                        condition=models.Q(("kind__in", ["payout", "payout_cancelled"])),
                        fields=["affiliate", "currency", "-created_at", "-id"],
                        name="payouts_in_the_ledger",
                    ),
                    models.Index(fields=["-created_at"], name="affiliates__created_ce027c_idx"),
                    models.Index(
                        fields=["kind", "-created_at"], name="affiliates__kind_12a2ce_idx"
                    ),
                    models.Index(
                        fields=["currency", "-created_at"], name="affiliates__currenc_6c851f_idx"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PayoutBatch",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
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
                    "method",
                    models.CharField(
                        choices=[("paypal", "PayPal"), ("bank", "Bank transfer")], max_length=10
                    ),
                ),
                (
                    "payable_on",
                    models.DateField(
                        help_text="Entries that are available by the end of this day (UTC) are in it."
                    ),
                ),
                (
                    "minimum",
                    models.PositiveBigIntegerField(
                        help_text="Minor units; less than this stays on the balance."
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("draft", "draft"),
                            ("released", "released"),
                            ("paid", "paid"),
                            ("cancelled", "cancelled"),
                        ],
                        default="draft",
                        max_length=10,
                    ),
                ),
                ("released_at", models.DateTimeField(blank=True, null=True)),
                ("paid_at", models.DateTimeField(blank=True, null=True)),
                (
                    "reference",
                    models.CharField(
                        blank=True, help_text="What the bank or PayPal calls it.", max_length=80
                    ),
                ),
                (
                    "exported_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When its file was last made: it may be at the bank.",
                        null=True,
                    ),
                ),
                ("cancel_reason", models.CharField(blank=True, max_length=300)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "updated_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "cancelled_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "drafted_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "exported_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "paid_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "released_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "payout batch",
                "verbose_name_plural": "payout batches",
                "permissions": (
                    ("draft_payoutbatch", "Can draft payouts"),
                    ("release_payoutbatch", "Can release payouts that somebody else drafted"),
                    ("settle_payoutbatch", "Can mark payouts paid and cancel them"),
                    ("export_payoutbatch", "Can download payout files with account details"),
                ),
                "indexes": [
                    models.Index(
                        fields=["status", "-created_at"], name="affiliates__status_57fe2e_idx"
                    ),
                    models.Index(fields=["-created_at"], name="affiliates__created_d2fe31_idx"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("released_by", None),
                            models.Q(("released_by", models.F("drafted_by")), _negated=True),
                            _connector="OR",
                        ),
                        name="released_by_another_person",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status__in", ["draft", "cancelled"]),
                            models.Q(("released_by", None), _negated=True),
                            _connector="OR",
                        ),
                        name="released_by_somebody",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Payout",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
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
                ("entry_count", models.PositiveIntegerField()),
                ("payee_name", models.CharField(max_length=140)),
                ("details_sealed", models.TextField()),
                ("details_hint", models.CharField(max_length=80)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("draft", "draft"),
                            ("released", "released"),
                            ("paid", "paid"),
                            ("cancelled", "cancelled"),
                        ],
                        default="draft",
                        max_length=10,
                    ),
                ),
                ("cancel_reason", models.CharField(blank=True, max_length=300)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "updated_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "affiliate",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="payouts",
                        to="affiliates.affiliate",
                    ),
                ),
                (
                    "batch",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="payouts",
                        to="affiliates.payoutbatch",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["affiliate", "-created_at"], name="affiliates__affilia_e7a549_idx"
                    ),
                    models.Index(
                        fields=["status", "-created_at"], name="affiliates__status_1eab2d_idx"
                    ),
                    models.Index(fields=["-created_at"], name="affiliates__created_ad99fb_idx"),
                    models.Index(fields=["updated_at"], name="affiliates__updated_99fda3_idx"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("batch", "affiliate"), name="one_payout_per_affiliate_and_batch"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PayoutItem",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("affiliate_id", models.UUIDField(db_index=True)),
                ("amount", models.BigIntegerField(help_text="Minor units, the entry's.")),
                ("is_live", models.BooleanField(default=True)),
                (
                    "entry",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="payout_items",
                        to="affiliates.ledgerentry",
                    ),
                ),
                (
                    "payout",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="items",
                        to="affiliates.payout",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("is_live", True)),
                        fields=("entry",),
                        name="one_live_payout_per_entry",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ReferralDay",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("day", models.DateField()),
                ("course_slug", models.CharField(blank=True, max_length=140)),
                ("currency", models.CharField(blank=True, max_length=3)),
                ("visits", models.PositiveIntegerField(default=0)),
                ("checkouts", models.PositiveIntegerField(default=0)),
                ("purchases", models.PositiveIntegerField(default=0)),
                (
                    "earned",
                    models.PositiveBigIntegerField(
                        default=0, help_text="Minor units of commission accrued, before reversals."
                    ),
                ),
                (
                    "affiliate",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="days",
                        to="affiliates.affiliate",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["-day"], name="affiliates__day_938c74_idx"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("affiliate", "day", "course_slug", "currency"),
                        name="one_row_per_affiliate_day_course",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ReferralVisit",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("course_slug", models.CharField(blank=True, max_length=140)),
                ("day", models.DateField()),
                ("visitor_key", models.CharField(max_length=64, unique=True)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "affiliate",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="visits",
                        to="affiliates.affiliate",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["affiliate", "day"], name="affiliates__affilia_9c9b66_idx"
                    ),
                    models.Index(fields=["day"], name="affiliates__day_e1d425_idx"),
                ],
            },
        ),
        migrations.CreateModel(
            name="ReferralLabelDay",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("day", models.DateField()),
                ("label", models.CharField(max_length=30)),
                ("currency", models.CharField(blank=True, max_length=3)),
                ("visits", models.PositiveIntegerField(default=0)),
                ("checkouts", models.PositiveIntegerField(default=0)),
                ("purchases", models.PositiveIntegerField(default=0)),
                (
                    "earned",
                    models.PositiveBigIntegerField(
                        default=0, help_text="Minor units of commission accrued, before reversals."
                    ),
                ),
                (
                    "affiliate",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="label_days",
                        to="affiliates.affiliate",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["day"], name="affiliates__day_d53ac2_idx")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("affiliate", "day", "label", "currency"),
                        name="one_row_per_affiliate_day_label",
                    )
                ],
            },
        ),
        migrations.RunPython(install_triggers, remove_triggers),
    ]
