"""Rows as the last release writes them: `columns.json` is what its INSERTs named."""

import json
import uuid
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db import DatabaseError, connection, transaction
from django.db import models as fields
from django.db.models import Field, Model
from django.utils import timezone

RECORDED = json.loads(Path(__file__).with_name("columns.json").read_text(encoding="utf-8"))
# Renamed in place, while no production data existed that a release would have had to migrate.
RENAMED = {
    "lms_sync_platformstate": {"misconfigured_told_at", "unavailable_told_at"},
    "payments_dispute": {"told_at"},
}
COLUMNS: dict[str, list[str]] = {
    table: [name for name in names if name not in RENAMED.get(table, ())]
    for table, names in RECORDED["columns"].items()
}


def refusal(table: str, columns: list[str]) -> str:
    """Insert a row with these columns alone, read it by its model, and return what went wrong."""
    model = _models().get(table)
    if model is None:
        return "the table is gone"
    if gone := [name for name in columns if name not in _fields(model)]:
        return f"columns are gone: {', '.join(gone)}"
    try:
        with transaction.atomic():
            unknown = _read_as_nothing(model, insert(table, columns))
            transaction.set_rollback(True)
    except DatabaseError as error:
        return str(error).partition("\n")[0]
    return f"read as nothing: {', '.join(unknown)}" if unknown else ""


def _models() -> dict[str, type[Model]]:
    return {model._meta.db_table: model for model in apps.get_models(include_auto_created=True)}


def _fields(model: type[Model]) -> dict[str, Field]:
    """Return the fields by what `script.columns` calls them."""
    return {
        field.attname if field.primary_key else field.column: field
        for field in model._meta.concrete_fields
    }


def insert(table: str, columns: list[str]) -> dict[Field, Any]:
    """Write a row as another release does: what it does not know, it does not name."""
    there = _fields(_models()[table])
    row = {there[name]: sample(there[name]) for name in columns}
    values = {
        field.column: field.get_db_prep_save(value, connection) for field, value in row.items()
    }
    if connection.vendor == "mongodb":
        connection.database[table].insert_one(values)
        return row
    quote = connection.ops.quote_name
    names = ", ".join(map(quote, values))
    marks = ", ".join(["%s"] * len(values))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {quote(table)} ({names}) VALUES ({marks})",
            list(values.values()),
        )
    return row


def _read_as_nothing(model: type[Model], row: dict[Field, Any]) -> list[str]:
    """Return the fields that this release reads as None and takes for never None."""
    key = row.get(model._meta.pk)
    if key is None:
        return []
    read = model._base_manager.get(pk=key)
    return [
        field.name
        for field in model._meta.concrete_fields
        if not field.null and getattr(read, field.attname) is None
    ]


SAMPLES: dict[type[Field], Any] = {
    fields.AutoField: lambda: "0" * 24 if connection.vendor == "mongodb" else 1,
    fields.BooleanField: False,
    fields.DateTimeField: timezone.now,
    fields.DateField: date.today,
    fields.DurationField: timedelta,
    fields.GenericIPAddressField: "127.0.0.1",
    fields.IntegerField: 1,
    fields.FloatField: 1.0,
    fields.JSONField: dict,
    fields.UUIDField: uuid.uuid4,
    fields.CharField: "a",
    fields.TextField: "a",
}


def sample(field: Field) -> Any:
    """Return a value that the field takes: its default, nothing, or any of its kind."""
    if field.has_default():
        return field.get_default()
    if field.null:
        return None
    if field.choices:
        return field.flatchoices[0][0]
    if field.is_relation:
        return sample(field.target_field)
    value = next(made for kind, made in SAMPLES.items() if isinstance(field, kind))
    return value() if callable(value) else value
