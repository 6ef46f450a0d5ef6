"""The databases and processes of one engine, and the rounds."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from bench import memory
from bench.report import (
    CHECKOUT,
    COUNTING,
    FREE_CHECKOUT,
    PAGE,
    PLAIN,
    SDK,
    WEBHOOK,
    WRITE,
    Measured,
)
from bench.serving import WARM_UP, Lane, Probe, Server, run_in_turn
from script.children import ROOT, Child, choose_port, stop_all
from script.servers import Services

PAGES, WRITES = 300, 80
COUNTED = 5000
CATALOGUE = "catalogue, cached"
SHOP_PAGES = (CATALOGUE, "catalogue, uncached", "course page, cached", "course page, uncached")
WORKER_SECONDS = 8
SETTINGS = "DJANGO_SETTINGS_MODULE"


@dataclass(frozen=True)
class Step:
    """One case on one server; `name` is what it is called in the report."""

    name: str
    server: Server
    probe: Probe
    case: str
    count: int
    status: int = 200


class Run:
    def __init__(self, engine: str, services: Services, directory: Path) -> None:
        self.engine, self.directory = engine, directory
        self.children: list[Child] = []
        self.probes: list[Probe] = []
        self._databases = [self._database(name, services) for name in ("bare", "shop")]
        self.redis_url = services.redis_url()

    def _database(self, name: str, services: Services) -> str:
        if self.engine == "sqlite":
            return f"sqlite:///{self.directory / f'{name}.sqlite3'}"
        server = services.postgres_url().rpartition("/")[0]
        database = f"maaledu_bench_{name}_{os.getpid()}"
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {database}")
        return f"{server}/{database}"

    def prepare(self) -> None:
        """Fill the databases, and start the sandbox, the servers and the probes."""
        sandbox_port, smtp_port = choose_port(0), choose_port(0)
        bare_url, shop_url = self._databases
        self.env = environment(shop_url, sandbox_port, smtp_port)
        # As the units of deploy/ set it: the processes of a machine count together.
        self.env["PROMETHEUS_MULTIPROC_DIR"] = str(self.directory / f"{self.engine}-metrics")
        bare = {**self.env, SETTINGS: "bench.bare.settings", "DATABASE_URL": bare_url}
        plain = {**self.env, SETTINGS: "bench.plain.settings"}
        manage(self.env, "migrate", "--noinput")
        manage(self.env, "seed_demo")
        manage(bare, "migrate", "--noinput", "--run-syncdb")
        self._start_sandbox(sandbox_port, smtp_port)
        self._start_servers(bare, plain)
        self.bare_probe = self._probe("bench.bare.cases", bare)
        self.shop_probe = self._probe("bench.product", self.env)
        self.plain_probe = self._probe("bench.product", plain)

    def _start_sandbox(self, port: int, smtp_port: int) -> None:
        ports = ["--port", str(port), "--smtp-port", str(smtp_port)]
        log = self.directory / f"{self.engine}-sandbox.log"
        command = [sys.executable, "-m", "sandbox", *ports]
        self._keep(Child("sandbox", command, env=self.env, log=log)).wait_line("SANDBOX READY")

    def _start_servers(self, bare: dict[str, str], plain: dict[str, str]) -> None:
        redis = {**self.env, "REDIS_URL": self.redis_url}
        uncached = {**redis, SETTINGS: "bench.no_cached_page"}
        self.bare = self._server("bare", "bench.bare.wsgi", bare)
        self.plain = self._server("plain", "maaledu.wsgi", plain)
        self.shop = self._server("shop", "maaledu.wsgi", self.env)
        self.shop_redis = self._server("shop-redis", "maaledu.wsgi", redis)
        self.only_redis = self._server("only-redis", "maaledu.wsgi", uncached)

    def _probe(self, module: str, env: dict[str, str]) -> Probe:
        probe = Probe(module, env)
        self.probes.append(probe)
        return probe

    def _keep(self, child: Child) -> Child:
        self.children.append(child)
        return child

    def _server(self, name: str, application: str, env: dict[str, str]) -> Server:
        server = Server(f"{self.engine}-{name}", application, env, self.directory)
        self._keep(server.child)
        server.wait_ready()
        return server

    def measure(self, rounds: int) -> dict[str, Measured]:
        """Let every server answer in turn, round after round."""
        groups = self._groups()
        steps = [step for group in groups for step in group]
        found = {step.name: Measured() for step in steps}
        found |= {SDK: Measured(), COUNTING: Measured()}
        for _ in range(rounds):
            for group in groups:
                answers = run_in_turn([self._lane(step) for step in group])
                for step, answer in zip(group, answers, strict=True):
                    found[step.name].add(answer)
            found[SDK].add(self.shop_probe.ask("call", SDK, WRITES))
            found[COUNTING].add(self.shop_probe.ask("call", COUNTING, COUNTED))
        for step in steps:
            self._count(step, found[step.name])
        return found

    def _lane(self, step: Step) -> Lane:
        requests = step.probe.ask("make", step.case, WARM_UP + step.count)
        return Lane(step.server, requests, step.status)

    def _groups(self) -> list[list[Step]]:
        """Return the cases; the servers of one group answer in turn, request by request."""
        bare, shop, plain = self.bare_probe, self.shop_probe, self.plain_probe
        return [
            [Step(PAGE, self.bare, bare, PAGE, PAGES)],
            [Step(WRITE, self.bare, bare, WRITE, WRITES)],
            *([Step(name, self.shop, shop, name, PAGES)] for name in SHOP_PAGES),
            [Step("catalogue, cached, with Redis", self.shop_redis, shop, CATALOGUE, PAGES)],
            [Step("catalogue, from Redis each time", self.only_redis, shop, CATALOGUE, PAGES)],
            [Step("coupon quote", self.shop, shop, "coupon quote", WRITES)],
            [Step(FREE_CHECKOUT, self.shop, shop, FREE_CHECKOUT, WRITES, status=302)],
            [
                Step(CHECKOUT, self.shop, shop, CHECKOUT, WRITES, status=302),
                Step(PLAIN[CHECKOUT], self.plain, plain, CHECKOUT, WRITES, status=302),
            ],
            [
                Step(WEBHOOK, self.shop, shop, WEBHOOK, WRITES),
                Step(PLAIN[WEBHOOK], self.plain, plain, WEBHOOK, WRITES),
            ],
        ]

    def _count(self, step: Step, measured: Measured) -> None:
        """Count in the process that made the requests.

        Its second request finds warm caches, as in a running shop.
        """
        counts: dict[str, Any] = step.probe.ask("count", step.case, 2)
        measured.statements, measured.transactions = counts["statements"], counts["transactions"]

    def memory(self) -> str:
        """Let a worker run what the webhooks have left, and return what web and worker take."""
        command = [sys.executable, "manage.py", "run_due_work", "--forever"]
        worker = self._keep(
            Child("worker", command, env=self.env, log=self.directory / f"{self.engine}-worker.log")
        )
        worker.wait_line("WORKER READY")
        time.sleep(WORKER_SECONDS)
        worker.check()
        web, work = memory.of_tree(self.shop.child.pid), memory.of_tree(worker.pid)
        return f"Memory: web {web} (gunicorn and one process with threads), worker {work}."

    def close(self) -> None:
        for probe in self.probes:
            probe.stop()
        stop_all(self.children)
        for url in self._databases if self.engine == "postgres" else ():
            server, _, database = url.rpartition("/")
            with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
                connection.execute(f"DROP DATABASE {database} WITH (FORCE)")


def environment(url: str, sandbox_port: int, smtp_port: int) -> dict[str, str]:
    """Return the product's environment: as in production, logs included, but for the sandbox."""
    return {
        **os.environ,
        "MAALEDU_ENV": "development",
        SETTINGS: "maaledu.settings",
        "DATABASE_URL": url,
        "REDIS_URL": "",
        "CELERY_BROKER_URL": "",
        "LOG_JSON": "true",
        "PYTHONPATH": str(ROOT),
        "STRIPE_SECRET_KEY": "sk_test_sandbox",
        "STRIPE_WEBHOOK_SECRET": "whsec_sandbox",
        "STRIPE_API_BASE": f"http://127.0.0.1:{sandbox_port}/stripe",
        "FRAPPE_LMS_BASE_URL": f"http://127.0.0.1:{sandbox_port}/lms",
        "FRAPPE_LMS_API_KEY": "sandbox-key:sandbox-secret",
        "EMAIL_HOST": "127.0.0.1",
        "EMAIL_PORT": str(smtp_port),
        "RATE_LIMIT_CHECKOUT": "1000000/1h",
        "RATE_LIMIT_COUPON": "1000000/1h",
        "RATE_LIMIT_COUPON_EMAIL": "1000000/1h",
        "SANDBOX_COURSES_ANY": "true",
        "SANDBOX_LMS_USER_LIMIT": "1000000",
        "SANDBOX_EXIT_WITH_PARENT": "true",
    }


def manage(env: dict[str, str], *command: str) -> None:
    """Run a management command, silently; raises CalledProcessError."""
    subprocess.run(
        [sys.executable, "-m", "django", *command],
        cwd=ROOT,
        env=env,
        check=True,
        stdout=subprocess.DEVNULL,
    )
