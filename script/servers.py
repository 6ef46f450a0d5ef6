"""The PostgreSQL and Redis servers of the tests: this machine's, or private ones of the run."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psycopg
import redis

from script.children import Child, ChildFailed, choose_port, stop_all

LOCAL_POSTGRES = "postgres://postgres@127.0.0.1:5432/maaledu"
UNPRIVILEGED = ("postgres", "nobody")


class Services:
    """The servers that a run needs; `stop` ends and removes those that were started here."""

    def __init__(self) -> None:
        self._children: list[Child] = []
        self._directory = Path(tempfile.mkdtemp(prefix="maaledu-services-"))
        self._directory.chmod(0o755)

    def postgres_url(self) -> str:
        """Return the address of a PostgreSQL server where databases may be made.

        It is TEST_POSTGRES_URL, the one on port 5432, or one of our own.
        """
        given = os.environ.get("TEST_POSTGRES_URL")
        if given or _accepts_postgres(LOCAL_POSTGRES):
            return given or LOCAL_POSTGRES
        return self._start_postgres()

    def redis_url(self) -> str:
        """Return the address of a Redis server that the tests may flush and kill:
        TEST_REDIS_SERVER, or our own.

        The server on port 6379 may hold somebody's data, so it is used only where none can be
        started.
        """
        given = os.environ.get("TEST_REDIS_SERVER")
        return given or self._start_redis()

    def need_redis(self) -> None:
        """Make sure that tests can start Redis servers of their own."""
        if not find_program("redis-server"):
            _install("redis-server", "redis-server")

    def stop(self) -> None:
        stop_all(self._children)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _start_postgres(self) -> str:
        initdb = find_program("initdb") or _install("postgresql", "initdb")
        data, port = self._directory / "postgres", choose_port(0)
        data.mkdir()
        user = as_unprivileged(data)
        subprocess.run(
            [*user, initdb, "-D", str(data), "-A", "trust", "-U", "postgres", "-E", "UTF8"],
            check=True,
            capture_output=True,
        )
        options = [
            "-p",
            str(port),
            "-k",
            str(data),
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "fsync=off",
            "-c",
            "max_connections=200",
        ]
        command = [*user, str(Path(initdb).with_name("postgres")), "-D", str(data), *options]
        url = f"postgres://postgres@127.0.0.1:{port}/maaledu"
        return self._start("PostgreSQL server", command, partial(_accepts_postgres, url), url)

    def _start_redis(self) -> str:
        binary = find_program("redis-server")
        if not binary and _accepts_redis("redis://127.0.0.1:6379/15"):
            return "redis://127.0.0.1:6379/15"
        port = choose_port(0)
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        command = [binary or _install("redis-server", "redis-server"), *options]
        url = f"redis://127.0.0.1:{port}/0"
        return self._start("Redis server", command, partial(_accepts_redis, url), url)

    def _start(self, name: str, command: list[str], ready: Callable[[], bool], url: str) -> str:
        log = self._directory / f"{name.partition(' ')[0].lower()}.log"
        child = Child(name, command, env=dict(os.environ), log=log)
        self._children.append(child)
        child.wait_ready(ready)
        return url


def _accepts_postgres(url: str) -> bool:
    try:
        with psycopg.connect(url.rpartition("/")[0] + "/postgres", connect_timeout=3):
            return True
    except psycopg.Error:
        return False


def _accepts_redis(url: str) -> bool:
    try:
        return bool(redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1).ping())
    except redis.RedisError:
        return False


def find_program(program: str) -> str:
    """Return the path of a program; PostgreSQL's are outside PATH on Debian."""
    packaged = sorted(
        Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), key=lambda path: int(path.parts[4])
    )
    return str(packaged[-1]) if packaged else shutil.which(program) or ""


def _install(package: str, program: str) -> str:
    apt = shutil.which("apt-get")
    if not apt or os.geteuid():
        raise ChildFailed(
            f"{program} was not found. Install it (Debian and Ubuntu: sudo apt-get install"
            f" {package}) and run this again."
        )
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in ([apt, "update"], [apt, "install", "-y", "--no-install-recommends", package]):
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ChildFailed(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    found = find_program(program)
    if not found:
        raise ChildFailed(f"the package {package} brought no {program}")
    return found


def as_unprivileged(directory: Path) -> list[str]:
    """Return the start of a command that runs without root, and give the directory to its user.

    PostgreSQL refuses to run as root.
    """
    if os.geteuid():
        return []
    users = Path("/etc/passwd").read_text(encoding="utf-8")
    user = next(name for name in UNPRIVILEGED if f"\n{name}:" in users)
    shutil.chown(directory, user)
    return ["runuser", "-u", user, "--"]
