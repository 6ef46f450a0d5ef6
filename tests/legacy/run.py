"""Run the command as an operator does, and read what it left."""

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from allauth.account.models import EmailAddress
from django.apps import apps
from django.core.management import CommandError, call_command

OWN_NAMES = {"token", "code", "updated_at", "progress_due_at", "lms_facts_due_at", "version"}


@dataclass(frozen=True)
class Ran:
    """How a run of the command ended: its exit code, and what it wrote."""

    status: int
    text: str


def import_legacy(*arguments: Any) -> Ran:
    out, status, text = io.StringIO(), 0, ""
    try:
        with redirect_stdout(out):
            call_command("import_legacy", *map(str, arguments), stdout=out, stderr=out)
    except CommandError as error:
        status, text = error.returncode, str(error)
    except SystemExit as error:
        status = int(error.code or 0)
    return Ran(status, out.getvalue() + text)


def rows_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the rows of a report by their old id."""
    lines = (folder / "rows.jsonl").read_text().splitlines()
    return {row["_id"]: row for row in map(json.loads, lines)}


def dump(*, with_mapping: bool = True) -> dict[str, list[Any]]:
    """Return every row of every table, but for tokens and the moments of writing."""
    return {
        model._meta.label: sorted(
            (sorted(_kept(row)) for row in model._default_manager.values()), key=repr
        )
        for model in apps.get_models()
        if model._meta.app_label not in {"contenttypes", "auth", "sessions"}
        if with_mapping or model._meta.app_label != "legacy"
    }


def _kept(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in row.items():
        is_own = name == "id" and not isinstance(value, UUID)  # a number, or MongoDB's own key
        if name not in OWN_NAMES and not is_own:
            yield name, str(value)


def accounts() -> dict[str, bool]:
    return dict(EmailAddress.objects.values_list("email", "verified"))
