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
from bench.report import CHECKOUT, FREE_CHECKOUT, PAGE, SDK, WRITE, Measured
from bench.serving import WARM_UP, Probe, Server
from script.children import ROOT, Child, choose_port, stop_all
from script.servers import Services

PAGES, WRITES = 300, 80
WORKER_SECONDS = 8


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
        """Fill the databases, start the sandbox, then the servers and the processes that make their
        requests.
        """
        sandbox_port, smtp_port = choose_port(0), choose_port(0)
        bare_url, shop_url = self._databases
        self.env = environment(shop_url, sandbox_port, smtp_port)
        bare = {
            **self.env,
            "DATABASE_URL": bare_url,
            "DJANGO_SETTINGS_MODULE": "bench.bare.settings",
        }
        _manage(self.env, "migrate", "--noinput")
        _manage(self.env, "seed_demo")
        _manage(bare, "migrate", "--noinput", "--run-syncdb")
        command = [
            sys.executable,
            "-m",
            "sandbox",
            "--port",
            str(sandbox_port),
            "--smtp-port",
            str(smtp_port),
        ]
        self._keep(
            Child(
                "sandbox", command, env=self.env, log=self.directory / f"{self.engine}-sandbox.log"
            )
        ).wait_line("SANDBOX READY")
        redis = {**self.env, "REDIS_URL": self.redis_url}
        self.bare = self._server("bare", "bench.bare.wsgi", bare)
        self.shop = self._server("shop", "maaledu.wsgi", self.env)
        self.shop_redis = self._server("shop-redis", "maaledu.wsgi", redis)
        self.only_redis = self._server(
            "only-redis",
            "maaledu.wsgi",
            {**redis, "DJANGO_SETTINGS_MODULE": "bench.no_cached_page"},
        )
        self.probes = [Probe("bench.bare.cases", bare), Probe("bench.product", self.env)]

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
        _, maker = self.probes
        steps = self._steps()
        found = {step.name: Measured() for step in steps}
        found[SDK] = Measured()
        for _ in range(rounds):
            for step in steps:
                requests = step.probe.ask("make", step.case, WARM_UP + step.count)
                found[step.name].add(step.server.run(requests, step.status))
            found[SDK].add(maker.ask("call", SDK, WRITES))
        for step in steps:
            self._count(step, found[step.name])
        return found

    def _steps(self) -> list[Step]:
        bare, maker = self.probes
        shop = (
            "catalogue, cached",
            "catalogue, uncached",
            "course page, cached",
            "course page, uncached",
        )
        return [
            Step(PAGE, self.bare, bare, PAGE, PAGES),
            Step(WRITE, self.bare, bare, WRITE, WRITES),
            *(Step(name, self.shop, maker, name, PAGES) for name in shop),
            Step("catalogue, cached, with Redis", self.shop_redis, maker, shop[0], PAGES),
            Step("catalogue, from Redis each time", self.only_redis, maker, shop[0], PAGES),
            Step(CHECKOUT, self.shop, maker, CHECKOUT, WRITES, status=302),
            Step("coupon quote", self.shop, maker, "coupon quote", WRITES),
            Step(FREE_CHECKOUT, self.shop, maker, FREE_CHECKOUT, WRITES, status=302),
            Step("webhook, fulfilled", self.shop, maker, "webhook, fulfilled", WRITES),
        ]

    def _count(self, step: Step, measured: Measured) -> None:
        """Count in the process that made the requests: its second request finds warm caches, as in
        a running shop.
        """
        counts: dict[str, Any] = step.probe.ask("count", step.case, 2)
        measured.statements, measured.transactions = counts["statements"], counts["transactions"]

    def memory(self) -> str:
        """Let a worker work off some of what the webhooks have left to do, and say what web and
        worker take.
        """
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
    """Return the product's environment: as in production, logs included, but with the sandbox as
    Stripe, LMS and mail.
    """
    return {
        **os.environ,
        "MAALEDU_ENV": "development",
        "DJANGO_SETTINGS_MODULE": "maaledu.settings",
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


def _manage(env: dict[str, str], *command: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "django", *command],
        cwd=ROOT,
        env=env,
        check=True,
        stdout=subprocess.DEVNULL,
    )
