"""Shops that have grown, each a filled database of its own: a small one beside a large one.

A million enrollments on PostgreSQL, a hundred thousand on SQLite, or `--size`. Nothing is kept.
"""

import os
import tempfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import psycopg

from bench.run import environment, manage
from bench.serving import Probe
from script.servers import Services

SIZES = {"postgres": 1_000_000, "sqlite": 100_000}
SMALL = 1_000
VERDICTS = {True: "met", False: "MISSED"}
FILL_SECONDS = "3600"
NO_SANDBOX = 9  # the port of nobody
Took = dict[str, float]


class Shop:
    """A database that `data` fills, and a process that makes the calls of `calls` on it."""

    probe: Probe | None = None

    def __init__(
        self, size: int, engine: str, services: Services, directory: Path, *modules: str
    ) -> None:
        self.data, self.calls = modules
        self.name = f"{self.data.replace('bench.', 'maaledu_bench_')}_{size}_{os.getpid()}"
        self.server = services.postgres_url().rpartition("/")[0] if engine == "postgres" else ""
        self.size = size
        url = f"{self.server}/{self.name}" if self.server else f"sqlite:///{directory}/{size}.db"
        self.env = environment(url, NO_SANDBOX, NO_SANDBOX)

    def fill(self) -> None:
        if self.server:
            self._ask_server(f"CREATE DATABASE {self.name}")
            # The CPU time of its helpers would not be seen.
            self._ask_server(f"ALTER DATABASE {self.name} SET max_parallel_workers_per_gather = 0")
        manage(self.env, "migrate", "--noinput")
        fill = f"from {self.data} import fill; fill({self.size})"
        manage({**self.env, "DATABASE_STATEMENT_SECONDS": FILL_SECONDS}, "shell", "-c", fill)
        self.open()

    def open(self) -> None:
        self.probe = Probe(self.calls, self.env)

    def _ask_server(self, statement: str) -> None:
        with psycopg.connect(f"{self.server}/postgres", autocommit=True) as connection:
            connection.execute(statement)

    def names(self) -> list[str]:
        assert self.probe
        return list(self.probe.ask("names", "", 0))

    def measure(self, name: str, runs: int) -> Took:
        assert self.probe
        took: Took = self.probe.ask("measure", name, runs)
        return took

    def close(self) -> None:
        if self.probe:
            self.probe.stop()
        if self.server:
            self._ask_server(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")


Report = Callable[[Shop, Shop], bool]


def run(data: str, calls: str, report: Report, services: Services, options: Namespace) -> bool:
    """Fill two shops on each engine and report on them; return whether every goal is met."""
    met = []
    for engine in options.engine or SIZES:
        sizes = (SMALL, options.size or SIZES[engine])
        with tempfile.TemporaryDirectory(prefix="maaledu-bench-") as directory:
            small, grown = (
                Shop(size, engine, services, Path(directory), data, calls) for size in sizes
            )
            try:
                small.fill()
                grown.fill()
                print(f"\n{engine}, {grown.size:,} enrollments", flush=True)
                met.append(report(small, grown))
            finally:
                small.close()
                grown.close()
    return all(met)
