"""Whether this process can serve: each check returns what is wrong, or nothing.

What may be lost without harm, such as a Redis that is down, is named and is no reason to send
visitors elsewhere.
"""

import logging
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.cache import caches
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor

from maaledu import stuck_database
from operations import heartbeats

logger = logging.getLogger(__name__)

READY = "ready"
GOOD_FOR = timedelta(seconds=5)
STYLES = "css/maaledu.css"
_migrated: set[str] = set()
_good_until: dict[str, float] = {}


def problems() -> dict[str, str]:
    """Return what keeps this process from serving, by check, and log it."""
    found = {name: problem for name, check in CHECKS.items() if (problem := _run(check))}
    if found:
        logger.warning("not ready", extra={"problems": found})
    return found


def _run(check: Callable[[], str]) -> str:
    try:
        return check()
    # A monitor needs an answer, whatever is broken.
    except Exception as error:
        logger.exception("a check of readiness failed")
        return f"{type(error).__name__}: {error}".partition("\n")[0][:300]


def _database() -> str:
    """Write: a database that is read-only or on a full disk can be read, and sells nothing."""
    # Anybody may ask, so what was good is asked again after some seconds only.
    if time.monotonic() < _good_until.get(connection.alias, 0):
        return ""
    try:
        if waiting := _waiting_migrations():
            return f"{waiting} migrations are waiting: run manage.py migrate."
        heartbeats.note(READY)
    except Error as error:
        connection.close()
        stuck_database.end_web_process(error)
        return f"The database takes no write: {type(error).__name__}: {error}".partition("\n")[0]
    _good_until[connection.alias] = time.monotonic() + GOOD_FOR.total_seconds()
    return ""


def _waiting_migrations() -> int:
    """Return how many migrations are not applied; once none is, this process asks no more."""
    if connection.alias in _migrated:
        return 0
    executor = MigrationExecutor(connection)
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not waiting:
        _migrated.add(connection.alias)
    return len(waiting)


def _static_files() -> str:
    """Look for every file of the release in the manifest, where production has one."""
    manifest = getattr(staticfiles_storage, "hashed_files", None)
    if manifest is None:
        return ""
    missing = sorted(_sources() - set(manifest))
    if missing:
        return f"{missing[0]} is not collected: run manage.py collectstatic."
    if not staticfiles_storage.exists(manifest[STYLES]):
        return f"{manifest[STYLES]} is gone: run manage.py collectstatic."
    return ""


def _sources() -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for folder in map(Path, settings.STATICFILES_DIRS)
        for path in folder.rglob("*")
        if path.is_file()
    }


def _cache() -> str:
    """Find an address that cannot be one; a Redis that is lost is no reason not to serve."""
    cache_state()
    return ""


def cache_state() -> str:
    """Return `ok`, or `lost` while limits are not counted and pages are not kept."""
    value = uuid.uuid4().hex
    caches["default"].set(READY, value, GOOD_FOR.total_seconds())
    return "ok" if caches["default"].get(READY) else "lost"


CHECKS: dict[str, Callable[[], str]] = {
    "database": _database,
    "static": _static_files,
    "cache": _cache,
}
