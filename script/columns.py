"""Print what this release writes into each new row, for the tests of the next one.

At a release: `.venv/bin/python -m script.columns > tests/releases/columns.json`.
"""

import json
import os
import sys

import django
from django.apps import apps
from django.db.models import AutoField, Model

from maaledu.version import VERSION

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "maaledu.settings")


def written(model: type[Model]) -> list[str]:
    """Return the columns that an INSERT of this model names; a key of our own by its field, since
    MongoDB calls it otherwise.
    """
    fields = [field for field in model._meta.concrete_fields if not isinstance(field, AutoField)]
    return sorted(field.attname if field.primary_key else field.column for field in fields)


def main() -> None:
    django.setup()
    models = apps.get_models(include_auto_created=True)
    columns = {model._meta.db_table: written(model) for model in models}
    json.dump({"version": VERSION, "columns": columns}, sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
