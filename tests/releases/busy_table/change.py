"""A change of a table that buyers write to."""

from django.db import migrations


class Migration(migrations.Migration):
    initial = True
    dependencies: list = []
    operations = [
        migrations.RunSQL(
            "ALTER TABLE operations_heartbeat ADD COLUMN another integer",
            "ALTER TABLE operations_heartbeat DROP COLUMN another",
        )
    ]
