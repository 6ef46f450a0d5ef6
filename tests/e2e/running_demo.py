"""The demo as people start it, for the browser tests: the sandbox, the shop and its worker on ports
of their own.
"""

import json
import os
from pathlib import Path
from typing import Any, Self

from tests.engines import ROOT
from tests.processes import Proc, free_port, python
from tests.sandbox_client import LMS_KEY, STRIPE_KEY, WEBHOOK_SECRET, Sandbox

START_SECONDS = 90
STOP_SECONDS = 40
PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")
# One proxy is trusted, so that every visitor of the tests has an address, and with it rate limits,
# of their own. The demo lets its explorers try more often: where a test tries too often, the limit
# is the shop's.
SHOP = {
    "TRUSTED_PROXY_COUNT": "1",
    "LMS_BREAKER_OPEN_SECONDS": "2",
    "WORK_SWEEP_SECONDS": "3",
    "RATE_LIMIT_COUPON": "5/15m",
    "RATE_LIMIT_PASSWORD_RESET": "10/15m",
}


class RunningDemo:
    """`script.demo` with an environment of its own: nothing of the tests' settings or of a
    developer's `.env` gets in.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ports = [free_port() for _ in range(3)]
        self.process: Proc | None = None
        self.sessions: dict[Any, Any] = {}  # of people who signed in and let later visitors be them

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.ports[1]}"

    def environment(self) -> dict[str, str]:
        played = {
            "STRIPE_API_BASE": f"{self.sandbox_url}/stripe",
            "STRIPE_SECRET_KEY": STRIPE_KEY,
            "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "FRAPPE_LMS_BASE_URL": f"{self.sandbox_url}/lms",
            "FRAPPE_LMS_API_KEY": LMS_KEY,
            "FRAPPE_DRIVER": "rest",
            "OPENEDX_BASE_URL": f"{self.sandbox_url}/edx",
            "EMAIL_HOST": "127.0.0.1",
            "EMAIL_PORT": str(self.ports[2]),
        }
        kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return {**kept, **played, **SHOP, "MAALEDU_ENV": "development", "PYTHONUNBUFFERED": "1"}

    def start(self) -> "RunningDemo":
        names = ("--port", "--sandbox-port", "--smtp-port")
        ports = [
            text for name, port in zip(names, self.ports, strict=True) for text in (name, str(port))
        ]
        options = ("--empty-office", "--directory", str(self.directory))
        command = python("-m", "script.demo", *ports, *options)
        self.process = Proc(command, env=self.environment(), log=self.directory / "demo.log")
        self.process.wait_line("Ctrl-C stops everything", START_SECONDS)
        facts = json.loads((self.directory / "demo.json").read_text())
        assert (facts["url"], facts["sandbox"]) == (self.url, self.sandbox_url), (
            "a port was taken in the meantime"
        )
        return self

    def stop(self) -> None:
        if self.process:
            self.process.stop(STOP_SECONDS)

    def sandbox(self) -> Sandbox:
        """Return a hand on its sandbox."""
        return Sandbox(port=self.ports[1], smtp_port=self.ports[2])


class Web:
    """One web process beside the demo's own, on a port of its own; `settings` is what differs in
    its environment.
    """

    def __init__(self, directory: Path, environment: dict[str, str], **settings: str) -> None:
        self.port = free_port()
        command = python(
            "-m", "gunicorn", "maaledu.wsgi", "--workers", "1", "--bind", f"127.0.0.1:{self.port}"
        )
        env = {**environment, "SITE_URL": self.url, "PYTHONPATH": str(ROOT), **settings}
        self.process = Proc(command, env=env, log=directory / f"web-{self.port}.log")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait(self) -> Self:
        self.process.wait_port(self.port)
        return self

    def stop(self) -> None:
        self.process.stop()


class BrokenShop(Web):
    """The shop with a database that has no tables, and one page that fails: for the error pages
    nobody should see.
    """

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        database = f"sqlite:///{directory / 'empty.sqlite3'}"
        super().__init__(
            directory,
            environment,
            DJANGO_SETTINGS_MODULE="tests.e2e.broken_shop_settings",
            DATABASE_URL=database,
        )


class HastyShop(Web):
    """The demo's own shop on other terms: what is sold through it is payable to affiliates at once,
    and paid out from $10.00 on.
    """

    def __init__(self, demo: RunningDemo) -> None:
        database = f"sqlite:///{demo.directory / 'shop.sqlite3'}"
        terms = {"COMMISSION_HOLD_DAYS": "0", "PAYOUT_MINIMUM": "1000"}
        super().__init__(demo.directory, demo.environment(), DATABASE_URL=database, **terms)
