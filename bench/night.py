"""`script/bench --growth night`: what the night takes in a grown shop, and what is idle all day.

A million enrollments on PostgreSQL, a hundred thousand on SQLite, or `--size`, with all that
belongs to them (`bench.night_data`), beside a shop of a thousand. The steps that ask Stripe or an
LMS are left out: they take as long as those do. Nothing is kept.
"""

import os
import tempfile
from argparse import Namespace
from pathlib import Path

import psycopg

from bench.run import environment, manage
from bench.serving import Probe
from script.servers import Services

WHAT = "the steps of the night, an idle sweep, and /metrics, at a million enrollments"
SIZES = {"postgres": 1_000_000, "sqlite": 100_000}
SMALL = 1_000
NIGHT_SECONDS, NIGHT_MB = 300, 200
IDLE_SECONDS = 0.010
MOST_GROWTH = 2
RUNS = 20
VERDICTS = {True: "met", False: "MISSED"}
FILL_SECONDS = "3600"
NO_SANDBOX = 9  # the port of nobody
Found = dict[str, dict[str, float]]


class Shop:
    """A filled database of its own, and a process that asks it."""

    probe: Probe | None = None
    data, calls = "bench.night_data", "bench.night_calls"

    def __init__(self, size: int, engine: str, services: Services, directory: Path) -> None:
        self.name = f"{self.data.replace('bench.', 'maaledu_bench_')}_{size}_{os.getpid()}"
        self.server = services.postgres_url().rpartition("/")[0] if engine == "postgres" else ""
        self.size = size
        url = f"{self.server}/{self.name}" if self.server else f"sqlite:///{directory}/{size}.db"
        self.env = environment(url, NO_SANDBOX, NO_SANDBOX)

    def fill(self) -> None:
        if self.server:
            self._ask_server(f"CREATE DATABASE {self.name}")
        manage(self.env, "migrate", "--noinput")
        fill = f"from {self.data} import fill; fill({self.size})"
        manage({**self.env, "DATABASE_STATEMENT_SECONDS": FILL_SECONDS}, "shell", "-c", fill)
        self.probe = Probe(self.calls, self.env)

    def _ask_server(self, statement: str) -> None:
        with psycopg.connect(f"{self.server}/postgres", autocommit=True) as connection:
            connection.execute(statement)

    def measure(self, kind: str, runs: int) -> Found:
        assert self.probe
        names = [name for name in self.probe.ask("names", "", 0) if name.startswith(f"{kind}: ")]
        took = {name: self.probe.ask("measure", name, runs) for name in names}
        return {name.removeprefix(f"{kind}: "): each for name, each in took.items()}

    def close(self) -> None:
        if self.probe:
            self.probe.stop()
        if self.server:
            self._ask_server(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")


def report_night(found: Found) -> tuple[list[str], bool]:
    """Return the lines about the night, and whether its goals are met."""
    lines = [f"\n{'the night':62}{'s':>9}{'CPU s':>9}{'statements':>12}{'peak MB':>9}"]
    for name, took in found.items():
        lines.append(
            f"{name:62}{took['seconds']:9.2f}{took['cpu']:9.2f}{took['statements']:12,.0f}"
            f"{took['peak']:9.0f}"
        )
    cpu = sum(took["cpu"] for took in found.values())
    peak = max(took["peak"] for took in found.values())
    is_met = cpu <= NIGHT_SECONDS and peak <= NIGHT_MB
    goal = f"(≤ {NIGHT_SECONDS} s of CPU and ≤ {NIGHT_MB} MB)"
    total = f"{'all of it':62}{'':9}{cpu:9.2f}{'':12}{peak:9.0f}"
    return [*lines, f"{total}   {VERDICTS[is_met]} {goal}"], is_met


def report_all_day(idle: Found, asked: dict[int, Found]) -> tuple[list[str], bool]:
    """Return the lines about what is done and asked all day, and whether its goals are met."""
    misses = 0
    lines = [f"\n{'an idle sweep':62}{'CPU ms':>9}{'statements':>12}"]
    for name, took in idle.items():
        is_met = took["cpu"] <= IDLE_SECONDS
        misses += not is_met
        line = f"{name:62}{took['cpu'] * 1000:9.2f}{took['statements']:12,.0f}"
        lines.append(line if is_met else f"{line}   MISSED (≤ {IDLE_SECONDS * 1000:.0f} ms)")
    small, grown = asked.values()
    heads = "".join(f"{size:>11,}" for size in asked)
    lines.append(f"\n{'what monitors ask, CPU ms by enrollments':62}{heads}   growth")
    for name, before in small.items():
        growth = grown[name]["cpu"] / before["cpu"]
        is_met = growth <= MOST_GROWTH
        misses += not is_met
        costs = f"{before['cpu'] * 1000:11.2f}{grown[name]['cpu'] * 1000:11.2f}"
        lines.append(f"{name:62}{costs}   {growth:5.2f}× {VERDICTS[is_met]}")
    return lines, not misses


def run(services: Services, options: Namespace) -> bool:
    """Measure and print; return whether every goal is met."""
    engines = options.engine or list(SIZES)
    met = [_run(engine, services, options.size) for engine in engines]
    return all(met)


def _run(engine: str, services: Services, given: int | None) -> bool:
    sizes = (SMALL, given or SIZES[engine])
    with tempfile.TemporaryDirectory(prefix="maaledu-bench-") as directory:
        shops = [Shop(size, engine, services, Path(directory)) for size in sizes]
        try:
            for shop in shops:
                shop.fill()
            print(f"\n{engine}, {sizes[1]:,} enrollments", flush=True)
            # The night first: it deletes what the sweep would else find.
            night, is_night_met = report_night(shops[1].measure("night", 1))
            print("\n".join(night), flush=True)
            asked = dict(zip(sizes, (shop.measure("asked", RUNS) for shop in shops), strict=True))
            day, is_day_met = report_all_day(shops[1].measure("idle", RUNS), asked)
            print("\n".join(day), flush=True)
            return is_night_met and is_day_met
        finally:
            for shop in shops:
                shop.close()
