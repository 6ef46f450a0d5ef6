"""What other databases do with a column's default (`db_default`), for MongoDB, which has none.

A release that does not know a field yet leaves it out of what it writes. It is read as its default
at once, and found by it after `manage.py migrate`, which writes it.
"""

from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.db.models import NOT_PROVIDED, Field


def has_default(field: Field) -> bool:
    return field.db_default is not NOT_PROVIDED and not field.null


def converter(field: Field) -> Callable[..., Any]:
    def convert(value: Any, *_: object) -> Any:
        return field.db_default if value is None else value

    return convert


def fill(connection: Any) -> int:
    """Write the default of each field that rows lack; return how many were written."""
    written = 0
    for model in apps.get_models(include_auto_created=True):
        collection = connection.database[model._meta.db_table]
        for field in filter(has_default, model._meta.local_concrete_fields):
            default = field.get_db_prep_save(field.db_default, connection)
            missing = {field.column: {"$exists": False}}
            written += collection.update_many(
                missing, {"$set": {field.column: default}}
            ).modified_count
    return written
