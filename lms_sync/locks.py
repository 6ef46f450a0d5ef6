"""A lock that is a row: held by one worker over all machines, for a lease at most."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from typing import Any

from django.db import IntegrityError
from django.utils import timezone

from lms_sync.errors import LmsBusy
from lms_sync.models import SyncLock
from maaledu.db import is_duplicate
from maaledu.forgetting import forget


@contextmanager
def held(name: str, *, lease: timedelta) -> Iterator[None]:
    """Hold the lock inside the block, at most for `lease`.

    Raises LmsBusy when another worker has it. Not for use inside a transaction, where other workers
    do not see the row.
    """
    owner = uuid.uuid4().hex
    if not acquire(name, owner=owner, lease=lease):
        raise LmsBusy
    try:
        yield
    finally:
        release(name, owner=owner)


def acquire(name: str, *, owner: str, lease: timedelta) -> bool:
    """Take the lock unless another worker has it, and return whether this call did."""
    now = timezone.now()
    try:
        SyncLock(key=_key(name), owner=owner, until=now + lease).save(force_insert=True)
    except IntegrityError as error:
        if not is_duplicate(error):  # else nobody would ever get a lock, and nothing would say why
            raise
        lapsed = SyncLock.objects.filter(key=_key(name), until__lte=now)
        return lapsed.update(owner=owner, until=now + lease) == 1
    return True


def acquire_all(names: Sequence[str], *, owner: str, lease: timedelta) -> bool:
    """Take all of these locks at once, where nobody has one of them; return whether this call did.

    A lock whose lease has run out is one that somebody has: `acquire` takes it over.
    """
    until = timezone.now() + lease
    rows = [SyncLock(key=_key(name), owner=owner, until=until) for name in names]
    try:
        # One statement is all or nothing by itself: bulk_create would begin a transaction for it.
        insert: Any = SyncLock.objects.all()
        insert._insert(rows, fields=SyncLock._meta.concrete_fields)
    except IntegrityError as error:
        if not is_duplicate(error):
            raise
        release(*names, owner=owner)  # MongoDB keeps those that came before the one that was taken
        return False
    return True


def release(*names: str, owner: str) -> None:
    """Give these locks back, if they are still this owner's."""
    mine = SyncLock.objects.filter(key__in=list(map(_key, names)), owner=owner)
    mine._raw_delete(mine.db)  # `delete` would begin a transaction for this one statement


def free(names: Sequence[str]) -> list[str]:
    """Return those of these locks that nobody has."""
    taken = SyncLock.objects.filter(key__in=map(_key, names), until__gt=timezone.now())
    keys = set(taken.values_list("key", flat=True))
    return [name for name in names if _key(name) not in keys]


def forget_lapsed() -> int:
    """Delete the locks of lost workers, and return how many there were."""
    return forget(SyncLock.objects.filter(until__lt=timezone.now()), by="until")


def _key(name: str) -> str:
    return sha256(name.encode()).hexdigest()
