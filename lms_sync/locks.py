"""A lock that is a row: held by one worker over all machines, for a lease at most."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256

from django.db import IntegrityError
from django.utils import timezone

from lms_sync.errors import LmsBusy
from lms_sync.models import SyncLock
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
    except IntegrityError:
        lapsed = SyncLock.objects.filter(key=_key(name), until__lte=now)
        return lapsed.update(owner=owner, until=now + lease) == 1
    return True


def release(name: str, *, owner: str) -> None:
    """Give the lock back, if it is still this owner's."""
    SyncLock.objects.filter(key=_key(name), owner=owner).delete()


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
