"""Faults of the servers that the shop stands on: Redis, PostgreSQL, the disk, the database file."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis

from tests.system.silence.ears import READY
from tests.system.silence.fault import Fault
from tests.system.silence.stage import ManyMachines, Stage

MEBIBYTE = 1024 * 1024


@contextmanager
def redis_gone(stage: ManyMachines) -> Iterator[None]:
    stage.redis.kill()
    yield
    stage.start_redis()


@contextmanager
def redis_full(stage: ManyMachines) -> Iterator[None]:
    with redis.Redis.from_url(stage.redis_url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1kb")
        yield
        client.config_set("maxmemory", "0")


@contextmanager
def postgres_gone(stage: ManyMachines) -> Iterator[None]:
    stage.postgres.stop()
    yield
    stage.postgres.start()


@contextmanager
def postgres_read_only(stage: ManyMachines) -> Iterator[None]:
    stage.postgres.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    stage.postgres.execute("SELECT pg_reload_conf()")
    yield
    stage.postgres.execute("ALTER SYSTEM RESET default_transaction_read_only")
    stage.postgres.execute("SELECT pg_reload_conf()")


def _fill(folder: Path, *, leave: int) -> Path:
    """Write a file until only so many bytes of this disk are free."""
    ballast, left = folder / "ballast", shutil.disk_usage(folder).free - leave
    with ballast.open("wb") as file, suppress(OSError):
        while left > 0:
            left -= file.write(bytes(min(left, MEBIBYTE)))
    return ballast


@contextmanager
def disk_nearly_full(stage: Stage) -> Iterator[None]:
    ballast = _fill(stage.disk, leave=100 * MEBIBYTE)
    yield
    ballast.unlink()


@contextmanager
def disk_full(stage: Stage) -> Iterator[None]:
    ballast = _fill(stage.disk, leave=0)
    yield
    ballast.unlink()


@contextmanager
def disk_read_only(stage: Stage) -> Iterator[None]:
    """As after a restart of a machine whose disk has errors; systemd starts an ended worker."""
    stage.web.kill()
    stage.worker.kill()
    _remount(stage, "ro")
    stage.start_web()
    stage.start_worker()
    yield
    _remount(stage, "rw")
    stage.worker.wait_end()
    stage.start_worker()


def _remount(stage: Stage, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(stage.disk)], check=True)


SCHEDULER, DISK = "the scheduler is silent", "the disk is nearly full"
FAULTS = [
    Fault(
        "Redis is gone",
        redis_gone,
        alert=f"Now red: {SCHEDULER}",
        ends=f"Recovered: {SCHEDULER}",
        stage=ManyMachines,
    ),
    Fault(
        "Redis is full",
        redis_full,
        alert=f"Now red: {SCHEDULER}",
        ends=f"Recovered: {SCHEDULER}",
        stage=ManyMachines,
    ),
    Fault("PostgreSQL is gone", postgres_gone, address=READY, ends="200", stage=ManyMachines),
    Fault(
        "PostgreSQL takes no write",
        postgres_read_only,
        address=READY,
        ends="200",
        stage=ManyMachines,
    ),
    Fault(
        "the disk is nearly full",
        disk_nearly_full,
        alert=f"Now red: {DISK}",
        ends=f"Recovered: {DISK}",
        disk="1400m",
    ),
    Fault("the disk is full", disk_full, address=READY, ends="200", disk="1400m"),
    Fault("the database takes no write", disk_read_only, address=READY, ends="200", disk="1400m"),
]
