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
from pathlib import Path
from types import FrameType

from script import purchase
from script.children import ROOT, Child, ChildFailed, choose_port, stop_all

WEB_PORT, SANDBOX_PORT, SMTP_PORT = 8700, 8701, 8702
STAFF_LOGIN = "staff@maaledu.example / sandbox-staff-only"
FINANCE_LOGIN = "finance@maaledu.example / sandbox-finance-only"
PARTNER_LOGIN = "partner@maaledu.example / sandbox-partner-only"
SET_IN_FILE = re.compile(
    r"^\s*(?:export\s+)?([A-Z_]+)[ \t]*=[ \t]*[\"']?([^\s\"'#]+)", re.MULTILINE
)


class Stopped(Exception):
    """Somebody asked this process to end."""


@dataclass(frozen=True)
class Place:
    """Where one demo runs."""

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
    if (
        os.environ.get("MAALEDU_ENV") or _env_file().get("MAALEDU_ENV") or "development"
    ) != "development":
        print(
            "script/demo makes staff logins with known passwords: it runs with"
            " MAALEDU_ENV=development only.",
            file=sys.stderr,
        )
        return 1
    if options.check:
        with tempfile.TemporaryDirectory(prefix="maaledu-demo-") as directory:
            return _run(_place(Path(directory), options), check=True)
    return _run(_place(options.directory, options), check=False)


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


def _place(directory: Path, options: argparse.Namespace) -> Place:
    directory.mkdir(parents=True, exist_ok=True)
    return Place(
        directory,
        choose_port(options.port),
        choose_port(options.sandbox_port),
        choose_port(options.smtp_port),
    )


def _run(place: Place, *, check: bool) -> int:
    children: list[Child] = []
    try:
        _start(place, children)
        if check:
            purchase.buy(place.url, place.sandbox_url)
            return 0
        _announce(place, children)
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


def _start(place: Place, children: list[Child]) -> None:
    env = environment(place)
    print("Preparing the catalogue ...", flush=True)
    for command in (["migrate", "--noinput"], ["seed_demo"], ["demo_partner"]):
        _manage(command, env)
    print("Starting the sandbox, the shop and its worker ...", flush=True)
    ports = ["--port", str(place.sandbox_port), "--smtp-port", str(place.smtp_port)]
    children.append(_child("sandbox", ["-m", "sandbox", *ports], env, place))
    children.append(_child("worker", ["manage.py", "run_due_work", "--forever"], env, place))
    address = f"127.0.0.1:{place.web_port}"
    children.append(
        _child(
            "web",
            ["-m", "gunicorn", "maaledu.wsgi", "--workers", "1", "--bind", address],
            env,
            place,
        )
    )
    sandbox, worker, web = children
    sandbox.wait_line("SANDBOX READY")
    worker.wait_line("WORKER READY")
    web.wait_ready(lambda: _answers(f"{place.url}/health/ready"))


def _child(name: str, arguments: list[str], env: dict[str, str], place: Place) -> Child:
    return Child(name, [sys.executable, *arguments], env=env, log=place.directory / f"{name}.log")


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


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def environment(place: Place) -> dict[str, str]:
    """Return what the three processes are started with.

    What `.env` says about Stripe, the LMS and the mail stands; what it leaves out is played by the
    sandbox. Its database and broker are not touched: only a DATABASE_URL or REDIS_URL of this very
    call replaces the demo's own.
    """
    own = {
        "DATABASE_URL": f"sqlite:///{place.directory / 'shop.sqlite3'}",
        "REDIS_URL": "",
        "CELERY_BROKER_URL": "",
        "SITE_URL": place.url,
        "SANDBOX_WEBHOOK_URL": f"{place.url}/api/webhook",
        "SANDBOX_COURSES_ANY": "true",
        "SANDBOX_EXIT_WITH_PARENT": "true",
        "SANDBOX_STATE": str(place.directory / "sandbox.json"),
    }
    always = {
        "MAALEDU_ENV": "development",
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SETTINGS_MODULE": "maaledu.settings",
    }
    return {**own, **_played_by_sandbox(place), **os.environ, **always}


def _played_by_sandbox(place: Place) -> dict[str, str]:
    given = _env_file().keys() | {name for name, value in os.environ.items() if value}
    played = {}
    if "STRIPE_API_BASE" not in given:
        played["STRIPE_API_BASE"] = (
            "" if "STRIPE_SECRET_KEY" in given else f"{place.sandbox_url}/stripe"
        )
    if "FRAPPE_LMS_BASE_URL" not in given:
        played["FRAPPE_LMS_BASE_URL"] = f"{place.sandbox_url}/lms"
    if not given & {"EMAIL_HOST", "EMAIL_DELIVERY_BACKEND"}:
        played |= {"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": str(place.smtp_port)}
    return played


def _env_file() -> dict[str, str]:
    """Return what `.env` sets to something; what is empty there is as if it were left out."""
    file = ROOT / ".env"
    return dict(SET_IN_FILE.findall(file.read_text(encoding="utf-8"))) if file.exists() else {}


def _announce(place: Place, children: list[Child]) -> None:
    facts = {
        "url": place.url,
        "sandbox": place.sandbox_url,
        "smtp_port": place.smtp_port,
        "pids": {c.name: c.pid for c in children},
    }
    (place.directory / "demo.json").write_text(json.dumps(facts))
    lines = {
        "Test cards": "4242 4242 4242 4242 pays, 4000 0000 0000 0002 is declined",
        "Mailbox": f"{place.sandbox_url}/mail/",
        "Faults": f"{place.sandbox_url}/control/",
        "Office": f"{place.url}/admin/  {STAFF_LOGIN}",
        "Finance": f"{place.url}/admin/  {FINANCE_LOGIN}, as payouts need two persons",
        "Affiliate": f"{place.url}/affiliates/dashboard/  {PARTNER_LOGIN}",
        "Logs": str(place.directory),
        "": "Ctrl-C stops everything.",
    }
    dim, plain = ("\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "")
    print(f"\nOpen  {place.url}/\n")
    print(dim + "\n".join(f"{name:<11} {text}" for name, text in lines.items()) + plain, flush=True)


def _watch(children: list[Child]) -> None:
    while True:
        for child in children:
            child.check()
        time.sleep(0.3)


if __name__ == "__main__":
    sys.exit(main())
