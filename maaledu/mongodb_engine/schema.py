"""Unique indexes that MongoDB's planner uses.

The backend (5.2.4) makes each for values of the column's type only, so that there may be many
nulls. The planner uses an index of a part for a query that names this part, which no query of ours
does: it read the whole collection for each row by its key. 6.0.4 has mended it.
"""

from typing import Any

from django.db.models import Model
from django_mongodb_backend import schema
from pymongo import IndexModel

TEXT = "string"


class DatabaseSchemaEditor(schema.DatabaseSchemaEditor):
    def add_index(
        self,
        model: type[Model],
        index: Any,  # an Index, to which the backend has added a method
        *,
        unique: bool = False,
        parent_model: type[Model] | None = None,
        **more: Any,
    ) -> None:
        if not unique or index.contains_expressions:
            super().add_index(model, index, unique=unique, parent_model=parent_model, **more)
            return
        made = index.get_pymongo_index_model(
            model, schema_editor=self, unique=True, **more
        ).document
        part = _usable(made.pop("partialFilterExpression"), _nullable(model))
        options = {"partialFilterExpression": part} if part else {}
        collection = self.get_collection((parent_model or model)._meta.db_table)
        collection.create_indexes([IndexModel(made.pop("key").items(), **made, **options)])


def _nullable(model: type[Model]) -> set[str | None]:
    return {field.column for field in model._meta.local_concrete_fields if field.null}


def _usable(part: dict[str, Any], nullable: set[str | None]) -> dict[str, Any]:
    """Ask for no type where there is no null, and for any text where there may be."""
    found = {}
    for name, wanted in part.items():
        terms = dict(wanted) if isinstance(wanted, dict) else wanted
        if name not in nullable and isinstance(terms, dict):
            terms.pop("$type", None)
        elif isinstance(terms, dict) and terms.get("$type") == TEXT:
            terms = {"$gte": "", **{key: value for key, value in terms.items() if key != "$type"}}
        if terms:
            found[name] = terms
    return found
