from django.db import migrations

from affiliates import immutability


def install(apps, schema_editor):
    immutability.install(schema_editor.connection)


def remove(apps, schema_editor):
    immutability.remove(schema_editor.connection)


class Migration(migrations.Migration):
    """The database itself refuses to change or delete ledger entries."""

    dependencies = [("affiliates", "0001_initial")]

    operations = [migrations.RunPython(install, remove)]
