import django.utils.timezone
import maaledu.db
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Email",
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
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "updated_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("dedupe_key", models.CharField(max_length=120, unique=True)),
                ("kind", models.CharField(max_length=40)),
                ("to", models.EmailField(max_length=254)),
                ("context", models.JSONField(blank=True, default=dict)),
                ("subject", models.CharField(blank=True, max_length=200)),
                ("message_id", models.CharField(blank=True, max_length=200)),
                ("sent_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name": "e-mail",
                "permissions": (("replay_email", "Can retry and replay e-mails"),),
                "abstract": False,
                "indexes": [
                    models.Index(
                        fields=["status", "next_attempt_at"], name="notificatio_status_7e9669_idx"
                    ),
                    models.Index(fields=["claim_token"], name="notificatio_claim_t_086e87_idx"),
                    models.Index(fields=["-created_at"], name="notificatio_created_b8c629_idx"),
                    models.Index(fields=["to"], name="notificatio_to_fabae8_idx"),
                    models.Index(
                        fields=["kind", "-created_at"], name="notificatio_kind_a70c50_idx"
                    ),
                    models.Index(fields=["sent_at"], name="notificatio_sent_at_acf615_idx"),
                ],
            },
        ),
    ]
