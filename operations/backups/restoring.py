"""Put a backup in place of the database, where nobody is at work and nothing newer is lost
unseen.
"""

import logging
from pathlib import Path
from typing import Any

from django.core.cache import caches
from django.core.management import call_command
from django.db import DatabaseError, connection, connections
from django.db.migrations.loader import MigrationLoader

from enrollments.models import Enrollment
from operations.backups import folder
from operations.backups.engines import engine
from operations.backups.errors import BackupDamaged, RestoreRefused
from operations.backups.folder import Manifest

logger = logging.getLogger(__name__)


def examine(path: Path, *, replace: bool) -> Manifest:
    """Return what the backup holds, if it may be put in place now.

    Raises BackupDamaged, or RestoreRefused for a backup of another engine or of a later version,
    for a database that is in use, and for one that has enrollments, unless `replace` says that they
    may go.
    """
    manifest = folder.read_manifest(path)
    folder.verify_files(path, manifest)
    if manifest.engine != connection.vendor:
        raise RestoreRefused(
            f"This backup is of {manifest.engine}, and DATABASE_URL names {connection.vendor}."
        )
    _refuse_later(manifest)
    if others := engine().others():
        raise RestoreRefused(
            f"The database is in use: {others}. Stop web, worker and scheduler first."
        )
    if not replace:
        _refuse_loss()
    return manifest


def _refuse_later(manifest: Manifest) -> None:
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    later = sorted(set(manifest.migrations) - known)
    if later:
        raise RestoreRefused(
            f"The backup is of version {manifest.version} and has migrations that this version does"
            f" not know ({later[0]}). Install that version first."
        )


def _refuse_loss() -> None:
    try:
        newest = Enrollment.objects.order_by("-created_at").first()
    except DatabaseError:  # no tables yet: a new machine
        return
    if newest:
        raise RestoreRefused(
            f"The database has {Enrollment.objects.count()} enrollments, the newest of"
            f" {newest.created_at:%Y-%m-%d %H:%M} UTC. Take a backup of it, then add --replace."
        )


def put_in_place(path: Path, manifest: Manifest) -> None:
    """Make the database what the backup holds, and add what later migrations add.

    Raises BackupDamaged where what is there afterwards is not what the manifest says, and
    RestoreRefused where the engine refused, which leaves the database as it was.
    """
    engine().load(path)
    _compare(manifest)
    call_command("migrate", interactive=False, verbosity=0)
    for cache in caches.all():
        cache.clear()
    connections.close_all()
    logger.info("backup restored", extra={"folder": str(path), "taken_at": manifest.taken_at})


def _compare(manifest: Manifest) -> None:
    """Count again what is there now: the tables of the backup, each with its rows."""
    there = set(connection.introspection.table_names())
    wrong = [
        name
        for name, rows in sorted(manifest.rows.items())
        if (_count(name) if name in there else 0) != rows
    ]
    if wrong:
        raise BackupDamaged(f"After the restore these tables differ: {', '.join(wrong)}")


def _count(table: str) -> int:
    if connection.vendor == "mongodb":
        backend: Any = connection
        return backend.database[table].count_documents({})
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {connection.ops.quote_name(table)}")  # noqa: S608
        return cursor.fetchone()[0]
