"""`script/bench --growth`: what an affiliate's pages cost as the ledger grows to a million entries.

Each size has a PostgreSQL database of its own, on the server of DATABASE_URL or of this machine,
and a process that asks it. They answer in turn, round after round, so that a slow moment of the
machine slows all of them down. Nothing is kept.
"""

import os
from argparse import Namespace
from dataclasses import dataclass, field
from statistics import median

import psycopg

from bench.run import environment, manage
from bench.serving import Probe
from script.servers import Services

WHAT = "an affiliate's pages as the ledger grows to a million entries"
SIZES = (1_000, 100_000, 1_000_000)
MOST_STATEMENTS = 4
MOST_GROWTH = 1.3
ROUNDS, RUNS = 20, 20
FILL_SECONDS = "600"
NO_SANDBOX = 9  # the port of nobody: these pages ask neither Stripe nor the LMS
# The page of the dashboard adds session and user. COMPARED has no goals.
GOALS = {
    "balance": MOST_STATEMENTS,
    "dashboard figures": MOST_STATEMENTS,
    "dashboard page, session and user besides": MOST_STATEMENTS + 2,
}
COMPARED = (
    "payable, explained",
    "pending, explained",
    "paid, explained",
    "all entries, half-way",
    "list of statements",
    "statement of this month",
)


@dataclass
class Grown:
    """One call at one size: the wall time of every run in µs, and the statements of one run."""

    wall: list[float] = field(default_factory=list)
    statements: int = 0

    @property
    def p50(self) -> float:
        return median(self.wall) / 1000


class Growth:
    def __init__(self, services: Services) -> None:
        given = os.environ.get("DATABASE_URL", "")
        url = given if given.startswith("postgres") else services.postgres_url()
        self.server = url.rpartition("/")[0]
        self.databases = {size: f"maaledu_bench_growth_{size}_{os.getpid()}" for size in SIZES}
        self.probes: dict[int, Probe] = {}

    def prepare(self) -> None:
        """Make and fill a database for each size: one is migrated, the others are copies of it."""
        first = self.databases[SIZES[0]]
        self._ask_server(f"CREATE DATABASE {first}")
        manage(self._env(first), "migrate", "--noinput")
        for size in SIZES[1:]:
            self._ask_server(f"CREATE DATABASE {self.databases[size]} TEMPLATE {first}")
        for size, name in self.databases.items():
            env = {**self._env(name), "DATABASE_STATEMENT_SECONDS": FILL_SECONDS}
            manage(env, "shell", "-c", f"from bench.growth_data import fill; fill({size})")
            self.probes[size] = Probe("bench.growth_calls", self._env(name))

    def _env(self, name: str) -> dict[str, str]:
        return environment(f"{self.server}/{name}", NO_SANDBOX, NO_SANDBOX)

    def _ask_server(self, statement: str) -> None:
        with psycopg.connect(f"{self.server}/postgres", autocommit=True) as connection:
            connection.execute(statement)

    def measure(self) -> dict[str, dict[int, Grown]]:
        found = {name: {size: Grown() for size in SIZES} for name in (*GOALS, *COMPARED)}
        for name, sizes in found.items():
            for size, grown in sizes.items():
                grown.statements = self.probes[size].ask("statements", name, 2)
        for _ in range(ROUNDS):
            for name, sizes in found.items():
                for size, grown in sizes.items():
                    grown.wall += self.probes[size].ask("call", name, RUNS + 1)["wall"]
        return found

    def close(self) -> None:
        for probe in self.probes.values():
            probe.stop()
        for name in self.databases.values():
            self._ask_server(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def report(found: dict[str, dict[int, Grown]]) -> tuple[list[str], bool]:
    """Return the lines to print, and whether every goal is met."""
    heads = "".join(f"{size:>12,}" for size in SIZES)
    lines = [
        f"\nPostgreSQL, p50 in ms of {ROUNDS * RUNS} runs, by entries in the ledger",
        f"{'':42}{heads}   growth   statements",
    ]
    misses = 0
    for name, sizes in found.items():
        growth = sizes[SIZES[-1]].p50 / sizes[SIZES[0]].p50
        counts = [grown.statements for grown in sizes.values()]
        missed = name in GOALS and (growth > MOST_GROWTH or max(counts) > GOALS[name])
        misses += missed
        goal = (
            f"(≤ {MOST_GROWTH} and ≤ {GOALS[name]}) {'MISSED' if missed else 'met'}"
            if name in GOALS
            else ""
        )
        times = "".join(f"{grown.p50:12.2f}" for grown in sizes.values())
        lines.append(
            f"{name:42}{times}   {growth:5.2f}×   {'/'.join(map(str, counts)):>8}   {goal}"
        )
    return lines, not misses


def run(services: Services, options: Namespace) -> bool:
    """Measure and print; return whether every goal is met."""
    growth = Growth(services)
    try:
        growth.prepare()
        lines, is_met = report(growth.measure())
        print("\n".join(lines), flush=True)
        return is_met
    finally:
        growth.close()
