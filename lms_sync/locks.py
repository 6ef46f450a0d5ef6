"""A lock that is a row: held by one worker over all machines, for a lease at most."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256

from django.db import IntegrityError
from django.utils import timezone

from lms_sync.errors import LmsBusy
from lms_sync.models import SyncLock

POLL_SECONDS = 0.1


@contextmanager
def held(name: str, *, lease: timedelta, wait: timedelta = timedelta(0)) -> Iterator[None]:
    """Hold the lock inside the block, at most for `lease`.

    Raises LmsBusy when another worker still has it after `wait`. Not for use inside a transaction,
    where other workers do not see the row.
    """
    key, owner = sha256(name.encode()).hexdigest(), uuid.uuid4().hex
    give_up_at = time.monotonic() + wait.total_seconds()
    while not _acquire(key, owner, lease):
        if time.monotonic() >= give_up_at:
            raise LmsBusy
        time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        SyncLock.objects.filter(key=key, owner=owner).delete()


def _acquire(key: str, owner: str, lease: timedelta) -> bool:
    now = timezone.now()
    try:
        lock, created = SyncLock.objects.get_or_create(
            key=key, defaults={"owner": owner, "until": now + lease}
        )
    except IntegrityError:
        # Another worker created the row and deleted it between the two reads of get_or_create.
        return False
    if created or lock.until > now:
        return created
    return (
        SyncLock.objects.filter(pk=lock.pk, until__lte=now).update(owner=owner, until=now + lease)
        == 1
    )


def forget_lapsed() -> int:
    """Delete the locks of lost workers, and return how many there were."""
    return SyncLock.objects.filter(until__lt=timezone.now()).delete()[0]
