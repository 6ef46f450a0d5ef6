from django.db import migrations

from accounts import roles


def install(apps, schema_editor):
    roles.install()


class Migration(migrations.Migration):
    initial = True

    # The last ones: their tables have to be as the code knows them.
    dependencies = [
        ("auth", "__latest__"),
        ("contenttypes", "__latest__"),
    ]

    operations = [
        # Groups that were given to people stay when the migration is taken back.
        migrations.RunPython(install, migrations.RunPython.noop),
    ]
