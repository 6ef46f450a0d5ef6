from typing import Any

from django.db import migrations, models

from grants.pricing import discounted

COUNTED = ["approved", "reserved", "redeemed"]


def count_again(apps: Any, schema_editor: Any) -> None:
    """Have each program count what its good and used coupons take: one redeemed by a late payment was not counted until now."""
    grants, programs = apps.get_model("grants", "Grant").objects, apps.get_model("grants", "Program").objects
    for program in programs.all():
        amounts = []
        for grant in grants.filter(program_id=program.pk, status__in=COUNTED):
            cost = discounted(grant.price_at_approval or 0, grant.percent or 0, grant.currency).discount
            amounts.append(grant.committed_amount or cost)
            grants.filter(pk=grant.pk).update(holds_budget=True, committed_amount=amounts[-1])
        programs.filter(pk=program.pk).update(committed_amount=sum(amounts), committed_places=len(amounts))


class Migration(migrations.Migration):
    dependencies = [
        ("grants", "0003_refusals_kept_for_staff"),
    ]

    operations = [
        migrations.AddField(
            model_name="grant",
            name="holds_budget",
            field=models.BooleanField(default=False, help_text="Whether its program counts it: its amount, and one place."),
        ),
        migrations.RunPython(count_again, migrations.RunPython.noop),
    ]
