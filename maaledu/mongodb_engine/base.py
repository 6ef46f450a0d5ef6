from typing import Any

from django.db.models import Expression
from django.db.models.expressions import Col
from django_mongodb_backend import base, operations

from maaledu.mongodb_engine import defaults
from maaledu.mongodb_engine.schema import DatabaseSchemaEditor


class DatabaseOperations(operations.DatabaseOperations):
    """Compares without case literally, and reads a field that a document lacks as its default."""

    def prep_for_iexact_query(self, x: str) -> str:
        """The backend (5.2.4) makes a pattern of the value and forgets to escape it, for `iexact`
        alone: `a+b` is not found by itself, and `a.b` finds `axb`.
        """
        return self.prep_for_like_query(x)

    def get_db_converters(self, expression: Expression) -> list[Any]:
        converters = super().get_db_converters(expression)
        if isinstance(expression, Col) and defaults.has_default(expression.target):
            converters.append(defaults.converter(expression.target))
        return converters


class DatabaseWrapper(base.DatabaseWrapper):
    SchemaEditorClass = DatabaseSchemaEditor
    ops_class = DatabaseOperations
