"""What a browser sends of a form that is shown, for tests that change some of it."""

from typing import Any

from django.forms import FileField

from office.rows import Rows, RowsField


def sent(form: Any) -> dict[str, Any]:
    """Return each field of the form as it is shown, rows by the names of their inputs."""
    values: dict[str, Any] = {}
    for bound in form:
        value = bound.value()
        if isinstance(bound.field, RowsField):
            values |= rows_sent(bound.field.spec, value or [], bound.html_name)
        elif not isinstance(bound.field, FileField) and value is not None and value is not False:
            values[bound.html_name] = value
    return values


def rows_sent(spec: Rows, rows: list[Any], path: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for number, row in enumerate(rows):
        own = f"{path}-{number}"
        values |= {f"{own}-{part.name}": row[part.name] for part in spec.parts} or {own: row}
        if spec.inner:
            inside = row[spec.inner_name]
            values |= rows_sent(spec.inner, inside, f"{own}-{spec.inner_name}")
    return values
