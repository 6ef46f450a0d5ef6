"""The demo: the sandbox, the shop and its worker as three processes on this machine.

Everything it writes is in var/demo. Ctrl-C or SIGTERM stops the three; when one of them ends by
itself, the others are stopped too and the exit code is 1. `--check` makes one purchase over HTTP in
a database of its own, and stops.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType

from script import purchase
from script.children import ROOT, Child, ChildFailed, choose_port, stop_all

WEB_PORT, SANDBOX_PORT, SMTP_PORT = 8700, 8701, 8702
STAFF_LOGIN = "staff@maaledu.example / sandbox-staff-only"
ROLES = "support, grants, finance, content, operator, auditor"
ROLE_LOGIN = "<role>@maaledu.example / sandbox-<role>-only"
PARTNER_LOGIN = "partner@maaledu.example / sandbox-partner-only"
# What our endpoint is sent, as the deployment guide lists it.
WEBHOOK_EVENTS = (
    "checkout.session.*,refund.*,charge.refund*,charge.dispute.*,radar.early_fraud_warning.*"
)
# One person who looks at everything asks more often than a shop would let a stranger.
EXPLORERS_LIMITS = (
    "RATE_LIMIT_COUPON",
    "RATE_LIMIT_COUPON_EMAIL",
    "RATE_LIMIT_GRANT_APPLICATION",
    "RATE_LIMIT_AFFILIATE_SIGNUP",
    "RATE_LIMIT_CHECKOUT",
    "RATE_LIMIT_LOGIN",
    "RATE_LIMIT_SIGNUP",
    "RATE_LIMIT_PASSWORD_RESET",
    "RATE_LIMIT_CODE",
)
SET_IN_FILE = re.compile(
    r"^\s*(?:export\s+)?([A-Z_]+)[ \t]*=[ \t]*[\"']?([^\s\"'#]+)", re.MULTILINE
)


class Stopped(Exception):
    """Somebody asked this process to end."""


@dataclass(frozen=True)
class Location:
    """The folder and the ports of one demo."""

    directory: Path
    web_port: int
    sandbox_port: int
    smtp_port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"


def main() -> int:
    options = _options()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stop)
    kind = os.environ.get("MAALEDU_ENV") or _env_file().get("MAALEDU_ENV") or "development"
    if kind != "development":
        print(
            "script/demo makes staff logins with known passwords: it runs with"
            " MAALEDU_ENV=development only.",
            file=sys.stderr,
        )
        return 1
    if options.check:
        with tempfile.TemporaryDirectory(prefix="maaledu-demo-") as directory:
            return _run(_location(Path(directory), options), check=True)
    return _run(_location(options.directory, options), check=False)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="script/demo", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="make one purchase over HTTP, then stop"
    )
    parser.add_argument(
        "--port",
        type=int,
        default=WEB_PORT,
        help="of the shop (default: %(default)s); another if taken",
    )
    parser.add_argument(
        "--sandbox-port",
        type=int,
        default=SANDBOX_PORT,
        help="of the sandbox's pages (default: %(default)s)",
    )
    parser.add_argument(
        "--smtp-port",
        type=int,
        default=SMTP_PORT,
        help="of the sandbox's mail server (default: %(default)s)",
    )
    parser.add_argument(
        "--directory",
        type=Path,
        default=ROOT / "var" / "demo",
        help="for its database and logs (default: var/demo)",
    )
    return parser.parse_args()


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped


def _location(directory: Path, options: argparse.Namespace) -> Location:
    directory.mkdir(parents=True, exist_ok=True)
    return Location(
        directory,
        choose_port(options.port),
        choose_port(options.sandbox_port),
        choose_port(options.smtp_port),
    )


def _run(location: Location, *, check: bool) -> int:
    children: list[Child] = []
    try:
        _start(location, children)
        if check:
            purchase.buy(location.url, location.sandbox_url)
            return 0
        _announce(location, children)
        _watch(children)
    except Stopped:
        print("\nStopping.", flush=True)
        return 0
    except (ChildFailed, purchase.NotAsPromised) as problem:
        print(f"\nscript/demo: {problem}", file=sys.stderr, flush=True)
        return 1
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        stop_all(children)


def _start(location: Location, children: list[Child]) -> None:
    env = environment(location)
    print("Preparing the catalogue ...", flush=True)
    for command in (["migrate", "--noinput"], ["seed_demo"], ["demo_partner"]):
        _manage(command, env)
    print("Starting the sandbox, the shop and its worker ...", flush=True)
    ports = ["--port", str(location.sandbox_port), "--smtp-port", str(location.smtp_port)]
    children.append(_child("sandbox", ["-m", "sandbox", *ports], env, location))
    children.append(_child("worker", ["manage.py", "run_due_work", "--forever"], env, location))
    address = f"127.0.0.1:{location.web_port}"
    children.append(
        _child(
            "web",
            ["-m", "gunicorn", "maaledu.wsgi", "--workers", "1", "--bind", address],
            env,
            location,
        )
    )
    sandbox, worker, web = children
    sandbox.wait_line("SANDBOX READY")
    worker.wait_line("WORKER READY")
    web.wait_ready(partial(answers, f"{location.url}/health/ready"))


def _child(name: str, arguments: list[str], env: dict[str, str], location: Location) -> Child:
    return Child(
        name, [sys.executable, *arguments], env=env, log=location.directory / f"{name}.log"
    )


def _manage(command: list[str], env: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ChildFailed(
            f"manage.py {command[0]} failed:\n{done.stdout[-1000:]}{done.stderr[-3000:]}"
        )


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def environment(location: Location) -> dict[str, str]:
    """Return what the three processes are started with.

    For Stripe, the LMS and the mail `.env` wins, and the sandbox is used for those it leaves out.
    The database and broker of `.env` are not touched: only a DATABASE_URL or REDIS_URL in the
    environment of this call replaces the demo's own.
    """
    own = {
        "DATABASE_URL": f"sqlite:///{location.directory / 'shop.sqlite3'}",
        "REDIS_URL": "",
        "CELERY_BROKER_URL": "",
        "SITE_URL": location.url,
        "DEMO_TOUR_URL": f"{location.sandbox_url}/tour/",
        **dict.fromkeys(EXPLORERS_LIMITS, "1000/1m"),
        "SANDBOX_WEBHOOK_URL": f"{location.url}/api/webhook",
        "SANDBOX_WEBHOOK_EVENTS": WEBHOOK_EVENTS,
        "SANDBOX_COURSES_ANY": "true",
        "SANDBOX_EXIT_WITH_PARENT": "true",
        "SANDBOX_STATE": str(location.directory / "sandbox.json"),
    }
    always = {
        "MAALEDU_ENV": "development",
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SETTINGS_MODULE": "maaledu.settings",
    }
    return {**own, **_sandbox_settings(location), **os.environ, **always}


def _sandbox_settings(location: Location) -> dict[str, str]:
    given = _env_file().keys() | {name for name, value in os.environ.items() if value}
    settings = {}
    if "STRIPE_API_BASE" not in given:
        settings["STRIPE_API_BASE"] = (
            "" if "STRIPE_SECRET_KEY" in given else f"{location.sandbox_url}/stripe"
        )
    if "FRAPPE_LMS_BASE_URL" not in given:
        settings["FRAPPE_LMS_BASE_URL"] = f"{location.sandbox_url}/lms"
    if "OPENEDX_BASE_URL" not in given:
        settings["OPENEDX_BASE_URL"] = f"{location.sandbox_url}/edx"
    if not given & {"EMAIL_HOST", "EMAIL_DELIVERY_BACKEND"}:
        settings |= {"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": str(location.smtp_port)}
    return settings


def _env_file() -> dict[str, str]:
    """Return what `.env` sets to something; what is empty there is as if it were left out."""
    file = ROOT / ".env"
    return dict(SET_IN_FILE.findall(file.read_text(encoding="utf-8"))) if file.exists() else {}


def _announce(location: Location, children: list[Child]) -> None:
    facts = {
        "url": location.url,
        "sandbox": location.sandbox_url,
        "smtp_port": location.smtp_port,
        "pids": {c.name: c.pid for c in children},
    }
    (location.directory / "demo.json").write_text(json.dumps(facts))
    lines = {
        "Test cards": "4242 4242 4242 4242 pays, 4000 0000 0000 0002 is declined",
        "Tour": f"{location.sandbox_url}/tour/  five minutes through all of it",
        "Mailbox": f"{location.sandbox_url}/mail/",
        "Open edX": f"{location.sandbox_url}/edx/  where buyers of two courses make their account",
        "Faults": f"{location.sandbox_url}/control/",
        "Office": f"{location.url}/admin/  {STAFF_LOGIN}",
        "Roles": f"{ROLES}: {ROLE_LOGIN}",
        "Affiliate": f"{location.url}/affiliates/dashboard/  {PARTNER_LOGIN}",
        "Logs": str(location.directory),
        "": "Ctrl-C stops everything.",
    }
    dim, plain = ("\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "")
    print(f"\nOpen  {location.url}/\n")
    print(dim + "\n".join(f"{name:<11} {text}" for name, text in lines.items()) + plain, flush=True)


def _watch(children: list[Child]) -> None:
    while True:
        for child in children:
            child.check()
        time.sleep(0.3)


if __name__ == "__main__":
    sys.exit(main())
