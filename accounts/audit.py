"""The change log of the office: who did what, to what, from which value to which, and why.

Entries are written once. SQLite and PostgreSQL refuse UPDATE and DELETE by triggers, the model
refuses them everywhere.
"""

from collections.abc import Sequence
from typing import Any

from django.db.models import Model
from django.http import HttpRequest
from structlog.contextvars import get_contextvars

from accounts.models import AuditEntry, User
from maaledu.addresses import blur_address, client_address
from maaledu.insert_only import InsertOnly

AUDIT = InsertOnly(
    "accounts_auditentry", "entries of the change log are never changed or deleted", keys=("id",)
)
LONGEST_VALUE = 2000

Change = tuple[str, str, str]  # the field's label, the value before, the value after


def record(kind: str, what: str, *, by: str, about: Model | None = None, why: str = "") -> None:
    """Write what `by`, an address or the name of a command, has done, and to which row."""
    _write(AuditEntry(kind=kind, what=what, actor=by, reason=why), about)


def record_changes(row: Model, changes: Sequence[Change], *, by: str, kind: str = "") -> None:
    """Write which fields of a row were changed by a form, from which value to which."""
    what = f"changed {', '.join(label for label, _, _ in changes)}" if changes else "saved"
    values = [[label, _short(before), _short(after)] for label, before, after in changes]
    entry = AuditEntry(kind=kind or AuditEntry.CHANGED, what=what, actor=by, changes=values)
    _write(entry, row)


def record_sign_in(request: HttpRequest, user: User, what: str, *, refused: bool = False) -> None:
    """Write that somebody of the office has signed in, or was refused, and from which network.

    Nothing is written of anybody else: whoever guesses addresses could fill the table.
    """
    if user.is_staff:
        kind = AuditEntry.SIGN_IN_REFUSED if refused else AuditEntry.SIGNED_IN
        network = blur_address(client_address(request))
        _write(AuditEntry(kind=kind, what=f"{what}, from {network}", actor=user.email), user)


def _write(entry: AuditEntry, about: Model | None) -> None:
    if about is not None:
        entry.model = about._meta.label_lower
        entry.row_id = str(about.pk)[: _most("row_id")]
        entry.row_name = str(about)[: _most("row_name")]
    entry.what = entry.what[: _most("what")]
    entry.actor = entry.actor[: _most("actor")]
    entry.request_id = str(get_contextvars().get("request_id", ""))[: _most("request_id")]
    entry.save()


def _most(name: str) -> int:
    return int(getattr(AuditEntry._meta.get_field(name), "max_length", 0) or 0)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
