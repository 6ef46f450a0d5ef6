"""Take a backup that has been read back before it counts."""

import logging
import shutil
from datetime import datetime
from pathlib import Path

from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from maaledu.version import VERSION
from operations.backups import folder
from operations.backups.engines import engine
from operations.backups.errors import BackupDamaged, BackupImpossible
from operations.backups.folder import Manifest

logger = logging.getLogger(__name__)

ONLY_OURS = 0o700


def take(parent: Path) -> Path:
    """Take a backup into a new folder in `parent`, read it back, and return it.

    The folder has its name only when all of it is written and right. Raises BackupImpossible or
    BackupDamaged; nothing is left then.
    """
    now = timezone.now()
    target = parent / folder.name_of(now)
    unfinished = target.with_name(target.name + folder.UNFINISHED)
    try:
        parent.mkdir(mode=ONLY_OURS, parents=True, exist_ok=True)
        folder.delete_unfinished(parent, now)
        unfinished.mkdir(mode=ONLY_OURS)
    except OSError as error:
        raise BackupImpossible(f"The backup could not be written: {error}") from error
    try:
        folder.write_manifest(unfinished, _write(unfinished, now))
        unfinished.rename(target)
    except OSError as error:
        raise BackupImpossible(f"The backup could not be written: {error}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    logger.info("backup taken", extra={"folder": str(target)})
    return target


def _write(directory: Path, now: datetime) -> Manifest:
    rows = engine().dump(directory)
    found = engine().read_back(directory)
    if found != rows:
        names = {name for name in {*rows, *found} if rows.get(name) != found.get(name)}
        raise BackupDamaged(f"Read back, these tables differ: {', '.join(sorted(names))}")
    return Manifest(
        taken_at=now,
        version=VERSION,
        engine=connection.vendor,
        rows=rows,
        migrations=applied_migrations(),
        files=folder.checksums(directory),
    )


def applied_migrations() -> list[str]:
    applied = MigrationRecorder(connection).applied_migrations()
    return sorted(f"{app}.{name}" for app, name in applied)
