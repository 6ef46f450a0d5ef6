"""Take an import back before it is final: everything that it wrote is deleted, by the mapping.

Refused where somebody has changed a row since, or where a row of this shop points to one of them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any
from uuid import UUID

from allauth.account.models import EmailAddress
from django.apps import apps
from django.db.models import Model
from django.utils import timezone

from accounts.models import User
from affiliates.models import Affiliate, Commission, LedgerEntry
from enrollments.models import Enrollment
from grants.models import Grant
from legacy.errors import ImportRefused
from legacy.models import ImportedRow, ImportRun
from legacy.planning import read_named, watched_of
from legacy.targets import target_hash
from legacy.writing import ORDER
from maaledu.db import atomic

BATCH = 200
# Columns that name a row without a constraint of the database.
LOOSE: tuple[tuple[type[Model], type[Model], str], ...] = (
    (Enrollment, Grant, "enrollment_id"),
    (Grant, Enrollment, "grant_id"),
    (Affiliate, Enrollment, "affiliate_id"),
    (Enrollment, Commission, "enrollment_id"),
    (Enrollment, LedgerEntry, "enrollment_id"),
)
Keys = dict[str, set[UUID]]


def undo(run: ImportRun) -> int:
    """Delete what this run and all later ones wrote; return how many old rows that were.

    Raises ImportRefused, and then nothing was deleted. A call that was cut off goes on where it is
    called again.
    """
    runs = list(ImportRun.objects.filter(started_at__gte=run.started_at).order_by("started_at"))
    if not any(each.undone_at for each in runs):
        _refuse(run, runs)
        marked = ImportRun.objects.filter(pk__in=[each.pk for each in runs])
        marked.update(undone_at=timezone.now(), updated_at=timezone.now())
    keys = [each.pk for each in runs]
    count = 0
    for label in reversed(ORDER):
        for batch in _batches(_rows(keys)):
            _delete(label, [key for name, key in _written(batch) if name == label])
    for batch in _batches(_rows(keys)):
        ImportedRow.objects.filter(pk__in=[row.pk for row in batch]).delete()
        count += len(batch)
    ImportRun.objects.filter(pk__in=keys).delete()
    return count


def _rows(runs: list[UUID]) -> Iterator[ImportedRow]:
    rows = ImportedRow.objects.filter(run__in=runs).defer("document")
    return rows.order_by("pk").iterator(BATCH)


def _batches(rows: Iterable[Any]) -> Iterator[list[Any]]:
    left = iter(rows)
    while batch := list(islice(left, BATCH)):
        yield batch


@atomic
def _delete(label: str, keys: list[str]) -> None:
    if not keys:
        return
    if label == "accounts.User":
        EmailAddress.objects.filter(user_id__in=keys).delete()
    model: Any = apps.get_model(label)
    model._default_manager.filter(pk__in=keys).delete()


# --- what stands against it -----------------------------------------------------------------------
def _refuse(run: ImportRun, runs: list[ImportRun]) -> None:
    if any(each.kind == ImportRun.FINAL for each in runs):
        raise ImportRefused(
            "A final run cannot be undone: its commissions are in the ledger. Restore the backup"
            f" {next(each.backup_id for each in runs if each.kind == ImportRun.FINAL)}."
        )
    earlier = ImportRun.objects.filter(started_at__lt=run.started_at).exists()
    if earlier and any(each.has_changed_rows for each in runs):
        raise ImportRefused(
            "This run changed rows of an earlier one, and what they were is not kept. Undo the"
            " first run, which takes back all of them."
        )
    keys = [each.pk for each in runs]
    ours: Keys = defaultdict(set)
    for batch in _batches(_rows(keys)):
        _refuse_changed(batch)
        for label, key in _written(batch):
            ours[label].add(UUID(key))
    _refuse_users(ours)
    _refuse_referred(ours)


def _written(rows: list[ImportedRow]) -> Iterator[list[str]]:
    return (name for row in rows for name in row.targets if name[1])


def _refuse_changed(batch: list[ImportedRow]) -> None:
    held = read_named(name for row in batch for name in row.targets)
    for row in batch:
        watched = [
            (target, held.get((target.label, str(target.pk)), {})) for target in watched_of(row)
        ]
        if row.targets and target_hash(watched) != row.target_hash:
            raise ImportRefused(
                f"{row.collection} {row.source_id} was changed here since ({row.target}"
                f" {row.target_id}). Nothing was undone."
            )


def _refuse_users(ours: Keys) -> None:
    for part in _batches(sorted(ours["accounts.User"])):
        signed_in = User.objects.filter(pk__in=part).exclude(last_login=None).first()
        if signed_in:
            raise ImportRefused(f"{signed_in.email} has signed in here. Nothing was undone.")


def _refuse_referred(ours: Keys) -> None:
    """Refuse where a row that the import did not write points to one that it did."""
    pointing = list(LOOSE)
    for label in ORDER:
        model = apps.get_model(label)
        pointing += [
            (model, relation.related_model, relation.field.attname)
            for relation in model._meta.related_objects
            if relation.related_model is not EmailAddress
        ]
    for model, other, column in pointing:
        own = ours.get(other._meta.label, set())
        for part in _batches(sorted(ours.get(model._meta.label, set()))):
            found = other._default_manager.filter(**{f"{column}__in": part})
            strangers = [pk for pk in found.values_list("pk", flat=True) if pk not in own]
            if strangers:
                raise ImportRefused(
                    f"{other._meta.verbose_name} {strangers[0]} belongs to a"
                    f" {model._meta.verbose_name} of the import. Nothing was undone."
                )
