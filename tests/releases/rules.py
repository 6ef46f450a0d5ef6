"""What a migration may not do in one release, because the last one serves on meanwhile."""

from collections.abc import Callable

from django.db import migrations
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import NOT_PROVIDED, Field

from tests.releases.writes import COLUMNS

# What may differ between a field and the one that it replaces without the last release noticing.
HARMLESS = {
    "blank", "choices", "db_default", "default", "editable", "error_messages", "help_text",
    "related_name", "validators", "verbose_name",
}  # fmt: skip


def broken_promise(operation: Operation, app: str, state: ProjectState) -> str:
    """Return what the last release would stumble over, or nothing.

    `state` is that of the models before the operation.
    """
    look = next((look for kind, look in LOOKS.items() if isinstance(operation, kind)), None)
    return look(operation, app, state) if look else ""


def _of_parts(operation: migrations.SeparateDatabaseAndState, app: str, state: ProjectState) -> str:
    """What the models alone forget stays in the database for the last release."""
    found = (broken_promise(each, app, state) for each in operation.database_operations)
    return next(filter(None, found), "")


def _of_table(operation: migrations.DeleteModel, app: str, state: ProjectState) -> str:
    table = state.apps.get_model(app, operation.name)._meta.db_table
    return "drops a table that the last release writes" if table in COLUMNS else ""


def _of_removal(operation: migrations.RemoveField, app: str, state: ProjectState) -> str:
    model = state.apps.get_model(app, operation.model_name)
    column = model._meta.get_field(operation.name).column
    is_written = column in COLUMNS.get(model._meta.db_table, ())
    return "drops a column that the last release writes" if is_written else ""


def _of_addition(operation: migrations.AddField, *_: object) -> str:
    field = operation.field
    is_optional = field.null or field.many_to_many or field.db_default is not NOT_PROVIDED
    return "" if is_optional else "adds a column that must be given"


def _of_change(operation: migrations.AlterField, app: str, state: ProjectState) -> str:
    old = state.models[app, operation.model_name_lower].fields[operation.name]
    new = operation.field
    if old.null and not new.null:
        return "refuses nothing where it was allowed"
    if not new.null and old.db_default is not NOT_PROVIDED and new.db_default is NOT_PROVIDED:
        return "takes away a default of the database"
    if (old.max_length or 0) > (new.max_length or 0) > 0:
        return "takes shorter texts only"
    kinds = [type(each) for each in (old, new)]
    values = [_without_harmless(each) for each in (old, new)]
    return "changes what a column is" if kinds[0] != kinds[1] or values[0] != values[1] else ""


def _without_harmless(field: Field) -> dict[str, object]:
    *_, options = field.deconstruct()
    left_out = HARMLESS | {"null", "max_length"}
    return {name: value for name, value in options.items() if name not in left_out}


LOOKS: dict[type[Operation], Callable[..., str]] = {
    migrations.SeparateDatabaseAndState: _of_parts,
    migrations.RenameModel: lambda *_: "renames a table",
    migrations.AlterModelTable: lambda *_: "renames a table",
    migrations.RenameField: lambda *_: "renames a column",
    migrations.DeleteModel: _of_table,
    migrations.RemoveField: _of_removal,
    migrations.AddField: _of_addition,
    migrations.AlterField: _of_change,
}
