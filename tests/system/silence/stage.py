"""A shop of real processes for which minutes pass, and in which one thing is broken at a time."""

import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import requests

from tests.engines import ROOT
from tests.faketime import Clock
from tests.processes import python
from tests.sandbox_client import Sandbox
from tests.system.shop import SLUG, CeleryShop, Shop

TOKEN = "monitor-of-the-silence"
LOOK_SECONDS = 8.0
SETTLE_SECONDS = 0.5
COURSE = f"from tests.factories import make_course; make_course(slug='{SLUG}', title='A course')"


class Stage(Shop):
    """A shop on a database of its own, in which somebody buys each minute."""

    def __init__(
        self, env: dict[str, str], sandbox: Sandbox, directory: Path, *, clock: Clock
    ) -> None:
        super().__init__(env, sandbox, directory)
        self.clock, self.buyers, self.is_run_by_cron = clock, 0, False
        self.at_end = ExitStack()

    def open(self) -> Shop:
        """Start the worker first: a web process that is asked meanwhile would miss it."""
        if not self.worker:
            self.start_servers()
            self.start_worker()
            self.wait_worker()
        return super().open()

    def start_servers(self) -> None:
        """Start what the worker needs: nothing on one machine."""

    def put_on_sale(self) -> None:
        """The database has a course."""

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a management command, which may fail."""
        return subprocess.run(
            python("manage.py", *arguments),
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )

    def shell(self, code: str) -> str:
        """Run some lines as the product's own processes run."""
        return self.manage("shell", "--no-imports", "-c", code)

    def restart_worker(self, **environment: str) -> None:
        """Kill the worker, and start another one in this environment."""
        self.worker.kill()
        self.env |= environment
        self.start_worker()
        self.wait_worker()

    def minute(self) -> None:
        """Let a minute pass: somebody buys, and whoever looks each minute looks."""
        before = self._last_look()
        self.clock.advance(seconds=60)
        if self.is_run_by_cron:
            self.command("run_due_work")
        self.buyers += 1
        with suppress(AssertionError, RuntimeError, requests.RequestException):
            self.sandbox.pay(self.check_out(f"buyer{self.buyers}@example.com"), wait=2)
        deadline = time.monotonic() + LOOK_SECONDS
        while self._last_look() == before and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(SETTLE_SECONDS)

    def is_green(self) -> bool:
        return self._work().get("level") == "green"

    def due(self) -> dict[str, int]:
        """Return how many items of each queue are due, counted to one more than what is red."""
        return self._work().get("due", {})

    def close(self) -> None:
        super().close()
        self.at_end.close()

    def _last_look(self) -> tuple[str, ...]:
        """Return when the scheduler, or a web process in its place, looked whether work gets done.

        Asked as a monitor asks, which is what has a web process look.
        """
        seen = self._work().get("heartbeats", {})
        return tuple(seen.get(name, "") for name in ("watch", "web watch"))

    def _work(self) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with suppress(requests.RequestException, ValueError):
            return dict(requests.get(f"{self.url}/health/work", headers=headers, timeout=5).json())
        return {}


class OneMachine(Stage):
    """Web server and embedded worker on SQLite."""


class ManyMachines(Stage, CeleryShop):
    """Two web processes, Celery worker and beat, on PostgreSQL and Redis."""

    def start_servers(self) -> None:
        self.start_redis()
        self.start_beat()
