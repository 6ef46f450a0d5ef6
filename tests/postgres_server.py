"""A PostgreSQL server of a test's own, which may be stopped and started again."""

import os
import shutil
import subprocess
import tempfile
from functools import partial
from pathlib import Path

import psycopg

from script.servers import as_unprivileged, find_program
from tests.processes import Proc, free_port


class PostgresServer:
    """Its databases stay while it is stopped."""

    def __init__(self) -> None:
        # Not in a folder of pytest's, which others than root cannot enter.
        self.directory, self.port = Path(tempfile.mkdtemp(prefix="maaledu-postgres-")), free_port()
        self._user = as_unprivileged(self.directory)
        self._initdb = find_program("initdb")
        assert self._initdb, "PostgreSQL is not installed"
        options = ["-D", str(self.directory), "-A", "trust", "-U", "postgres", "-E", "UTF8"]
        subprocess.run(
            [*self._user, self._initdb, *options], check=True, capture_output=True, cwd="/"
        )

    def url(self, database: str = "postgres") -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        binary = str(Path(self._initdb).with_name("postgres"))
        options = ["-D", str(self.directory), "-p", str(self.port), "-k", str(self.directory)]
        settings = ["listen_addresses=127.0.0.1", "fsync=off", "max_connections=100"]
        given = [part for setting in settings for part in ("-c", setting)]
        self._process = Proc(
            [*self._user, binary, *options, *given],
            env=dict(os.environ),
            log=self.directory.with_suffix(".log"),
        )
        self._process.wait_until(partial(_accepts, self.url()), "connections")

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)

    def stop(self) -> None:
        self._process.stop()

    def remove(self) -> None:
        self.stop()
        self.directory.with_suffix(".log").unlink()
        shutil.rmtree(self.directory)


def _accepts(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2):
            return True
    except psycopg.Error:
        return False
