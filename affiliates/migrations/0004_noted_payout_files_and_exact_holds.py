from collections import Counter

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

from affiliates import immutability

BOOKED = ["released", "paid"]


def install(apps, schema_editor):
    """The ledger's triggers again: one more of them refuses REPLACE on SQLite."""
    immutability.install(schema_editor.connection)


def recount_held(apps, schema_editor):
    """What a payout has taken out of a balance is not on hold in it any more."""
    balances, commissions, items = (apps.get_model("affiliates", name).objects for name in ("Balance", "Commission", "PayoutItem"))
    for balance in balances.exclude(held=0):
        rows = commissions.filter(Q(is_disputed=True) | Q(is_under_review=True), affiliate_id=balance.affiliate_id)
        nets = {row.enrollment_id: row.amount - row.reversed for row in rows.filter(currency=balance.currency)}
        booked = items.filter(is_live=True, payout__status__in=BOOKED, entry__enrollment_id__in=list(nets))
        taken = Counter()
        for enrollment_id, amount in booked.values_list("entry__enrollment_id", "amount") if nets else ():
            taken[enrollment_id] += amount
        held = sum(max(net - taken[key], 0) for key, net in nets.items())
        balances.filter(pk=balance.pk).update(held=held, version=balance.version + 1)


class Migration(migrations.Migration):
    dependencies = [
        ("affiliates", "0003_two_persons"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="payoutbatch",
            name="exported_at",
            field=models.DateTimeField(blank=True, help_text="When its file was last made: it may be at the bank.", null=True),
        ),
        migrations.AddField(
            model_name="payoutbatch",
            name="exported_by",
            field=models.ForeignKey(
                blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.RunPython(install, migrations.RunPython.noop),
        migrations.RunPython(recount_held, migrations.RunPython.noop),
    ]
