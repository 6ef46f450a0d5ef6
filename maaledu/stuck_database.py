"""SQLite after a disk could be read only: the process that looked meanwhile cannot write again.

Connections of one process share what they know of the write-ahead log's index. While one of them
is open that found it read-only, each new one is read-only as well, long after the disk was mended.
No thread can close another's connection, so the process itself has to end and be started again.
"""

import logging
import os
import signal
import sqlite3

from django.conf import settings

logger = logging.getLogger(__name__)

has_master = False  # gunicorn.conf.py sets it in each process of its own
SQLITE_CODE = 0xFF  # without the part that tells the kinds of one error apart


def needs_new_process(error: BaseException) -> bool:
    """Return whether this process refused a write that a new one could make."""
    code = getattr(error.__cause__, "sqlite_errorcode", 0) & SQLITE_CODE
    if code != sqlite3.SQLITE_READONLY:
        return False
    # Asked, not tried: to close the file after a try would drop the locks that other threads have.
    return os.access(settings.DATABASES["default"]["NAME"], os.W_OK)


def end_web_process(error: BaseException) -> None:
    """Let gunicorn replace this process, if that helps; what it has begun is finished first."""
    if has_master and needs_new_process(error):
        logger.error("the database was read only: this process is replaced")
        os.kill(os.getpid(), signal.SIGTERM)
