from django.db import migrations, models

from accounts import roles

# What staff did to a row is looked up by the row, and Django's own log has no index for that.
LOG_BY_ROW = models.Index(fields=["object_id"], name="admin_log_by_row")


def add_index(apps, schema_editor):
    schema_editor.add_index(apps.get_model("admin", "LogEntry"), LOG_BY_ROW)


def remove_index(apps, schema_editor):
    schema_editor.remove_index(apps.get_model("admin", "LogEntry"), LOG_BY_ROW)


def install(apps, schema_editor):
    roles.install()


class Migration(migrations.Migration):
    initial = True

    # The last ones: their tables have to be as the code knows them.
    dependencies = [
        ("admin", "__latest__"),
        ("auth", "__latest__"),
        ("contenttypes", "__latest__"),
    ]

    operations = [
        # Groups that were given to people stay when the migration is taken back.
        migrations.RunPython(install, migrations.RunPython.noop),
        migrations.RunPython(add_index, remove_index),
    ]
