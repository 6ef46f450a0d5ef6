"""Write the plans of one chunk, with their mapping rows, in one transaction.

A run that is killed anywhere loses at most one chunk, and the next run goes on: what is in the
mapping is not written again.
"""

import json
from collections import defaultdict
from typing import Any

from allauth.account.models import EmailAddress
from django.apps import apps
from django.db.models import Model
from django.utils import timezone

from accounts.models import User
from legacy.models import ImportedRow, ImportRun
from legacy.planning import CHANGED, KEPT, NEW, NOTED, SAME, Plan, Rows, notes_text, read_rows
from legacy.sources import Document
from legacy.targets import Target, target_hash
from legacy.vocabulary import NEVER_IMPORTED
from maaledu.db import atomic
from maaledu.storable import clean

LONGEST_DOCUMENT = 64 * 1024
SECRET_NAMES = ("password", "token", "secret", "hash")
# Parents first, as the engines without deferred constraints want it.
ORDER = (
    "accounts.User",
    "account.EmailAddress",
    "courses.Course",
    "affiliates.Affiliate",
    "grants.Grant",
    "grants.GrantEvent",
    "enrollments.Enrollment",
    "enrollments.EnrollmentEvent",
    "payments.Payment",
    "payments.Refund",
    "payments.StripeEvent",
    "lms_sync.SyncJob",
    "lms_sync.DeadLetter",
    "notifications.Email",
)


@atomic
def write_chunk(plans: list[Plan], documents: dict[str, Document], run: ImportRun) -> None:
    """Write what the plans say, all or nothing."""
    written = [plan for plan in plans if plan.writes]
    there = _write_targets(written)
    _delete_gone(written)
    for plan in written:
        plan.watched = target_hash([(t, _as_written(t, there)) for t in plan.targets])
    made: list[ImportedRow] = []
    for plan in plans:
        row = plan.known or ImportedRow(
            collection=plan.fact.collection, source_id=plan.fact.key, run=run
        )
        if plan.what == SAME:
            continue
        _fill(row, plan, documents.get(plan.fact.key))
        if plan.known is None:
            made.append(row)
        else:
            row.save()
    ImportedRow.objects.bulk_create(made)
    if any(plan.what == CHANGED for plan in plans) and not run.has_changed_rows:
        ImportRun.objects.filter(pk=run.pk).update(has_changed_rows=True)
        run.has_changed_rows = True


def _fill(row: ImportedRow, plan: Plan, document: Document | None) -> None:
    fact = plan.fact
    row.outcome, row.reason, row.into = fact.outcome, fact.reason[:60], fact.into
    row.notes, row.updated_at = notes_text(fact), timezone.now()
    if plan.what == KEPT and row.targets:
        return  # its digests stay those of what was written, so that the next run looks again
    row.source_hash = fact.digest
    row.content_hash = plan.content
    if plan.what != NOTED:
        row.target_hash = plan.watched
    row.targets = [target.name for target in plan.targets]
    row.target = plan.targets[0].label if plan.targets else ""
    row.target_id = plan.targets[0].pk if plan.targets else None
    if document is not None and fact.collection not in NEVER_IMPORTED:
        row.document = readable(document)


# --- the rows themselves --------------------------------------------------------------------------
def _write_targets(plans: list[Plan]) -> Rows:
    """Write the rows, and return those that were there before."""
    by_label: dict[str, list[Target]] = defaultdict(list)
    for plan in plans:
        for target in plan.targets:
            by_label[target.label].append(target)
    # A row may be there for another old row, such as an account that an affiliate needed first.
    there = read_rows(t for targets in by_label.values() for t in targets if t.pk)
    for label in ORDER:
        targets = by_label.get(label, [])
        if label == "account.EmailAddress":
            _write_addresses(targets)
            continue
        new: dict[Any, Target] = {}
        for target in targets:
            held = there.get((label, str(target.pk)))
            if held is None:
                new.setdefault(target.pk, target)
            else:
                _change(target, held)
        if new:
            model: Any = apps.get_model(label)
            model._default_manager.bulk_create([t.make() for t in new.values()])
    return there


def _as_written(target: Target, there: Rows) -> dict[str, Any]:
    """Return what a target holds now: an account keeps the name that it had where none came."""
    held, due = there.get((target.label, str(target.pk))), {**target.fresh, **target.fields}
    if held is None or target.model is not User:
        return due
    return {**due, "name": due.get("name") or held["name"]}


def _write_addresses(targets: list[Target]) -> None:
    users = [target.by["user_id"] for target in targets]
    rows = EmailAddress.objects.filter(user_id__in=users)
    there = {row.user_id: row for row in rows}
    new: dict[Any, EmailAddress] = {}
    for target in targets:
        held = there.get(target.by["user_id"])
        if held is None:
            new[target.by["user_id"]] = EmailAddress(**target.by, **target.fields)
        elif target.fields["verified"] and not held.verified:
            EmailAddress.objects.filter(pk=held.pk).update(verified=True)
    EmailAddress.objects.bulk_create(list(new.values()))


def _change(target: Target, held: dict[str, Any]) -> None:
    """Bring one row up to date, as long as it is what was read."""
    fields = {name: value for name, value in target.fields.items() if held.get(name) != value}
    if target.model is User:
        fields = _of_account(fields, held)
    if not fields:
        return
    as_read = {name: held[name] for name in target.watched}
    if any(f.name == "updated_at" for f in target.model._meta.concrete_fields):
        fields["updated_at"] = timezone.now()
    target.model._default_manager.filter(pk=target.pk, **as_read).update(**fields)


def _of_account(fields: dict[str, Any], held: dict[str, Any]) -> dict[str, Any]:
    """Leave the password of somebody who has signed in here, and a name that is known."""
    kept = dict(fields)
    if held["last_login"] or not str(kept.get("password", "")).startswith("bcrypt$"):
        kept.pop("password", None)
    if not kept.get("name"):
        kept.pop("name", None)
    return kept


def _delete_gone(plans: list[Plan]) -> None:
    """Delete what a row has no more, such as the dead letter of somebody who is enrolled now."""
    by_label: dict[str, list[str]] = defaultdict(list)
    for plan in plans:
        for label, key in plan.gone:
            by_label[label].append(key)
    for label in reversed(ORDER):
        if by_label.get(label) and label not in {"accounts.User", "enrollments.Enrollment"}:
            model: type[Model] = apps.get_model(label)
            model._default_manager.filter(pk__in=by_label[label]).delete()


# --- the old document, to be read -----------------------------------------------------------------
def readable(document: Document) -> str:
    """Return the document as text, without passwords and tokens, and none that is huge."""
    text = json.dumps(_without_secrets(document), default=str, ensure_ascii=False, indent=1)
    if len(text) > LONGEST_DOCUMENT:
        return json.dumps({"_id": str(document.get("_id")), "left out": f"{len(text)} letters"})
    return clean(text)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            str(name): "(left out)" if _is_secret(str(name)) else _without_secrets(item)
            for name, item in value.items()
        }
    return [_without_secrets(item) for item in value] if isinstance(value, list) else value


def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in SECRET_NAMES)


__all__ = ["NEW", "readable", "write_chunk"]
