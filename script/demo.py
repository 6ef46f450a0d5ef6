"""The demo: the sandbox, the shop and its worker as three processes on this machine.

Everything it writes is in var/demo. Ctrl-C or SIGTERM stops the three; when one of them ends by
itself, the others are stopped too and the exit code is 1. Once the shop answers, its office is
filled in the background of whoever looks around. `--check` fills one, makes a purchase over HTTP
and verifies the invariants, in a database of its own, and stops.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from types import FrameType

from script import purchase
from script.children import ROOT, Child, ChildFailed, choose_port, stop_all
from script.demo_settings import Location, env_file, environment

WEB_PORT, SANDBOX_PORT, SMTP_PORT = 8700, 8701, 8702
STAFF_LOGIN = "staff@maaledu.example / sandbox-staff-only"
ROLES = "support, grants, finance, content, operator, auditor"
ROLE_LOGIN = "<role>@maaledu.example / sandbox-<role>-only"
LEARNER_LOGIN = "learner@maaledu.example / sandbox-learner-only"
PARTNER_LOGIN = "partner@maaledu.example / sandbox-partner-only"


class Stopped(Exception):
    """Somebody asked this process to end."""


def main() -> int:
    options = _options()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stop)
    kind = os.environ.get("MAALEDU_ENV") or env_file().get("MAALEDU_ENV") or "development"
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
    is_empty = options.empty_office
    return _run(_location(options.directory, options), check=False, is_empty=is_empty)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="script/demo", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="make one purchase over HTTP, then stop"
    )
    parser.add_argument(
        "--empty-office",
        action="store_true",
        help="leave out the purchases, grants and troubles that the office is filled with",
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


def _run(location: Location, *, check: bool, is_empty: bool = False) -> int:
    children: list[Child] = []
    try:
        _start(location, children)
        if check:
            _check(location)
            return 0
        _announce(location, children)
        if not is_empty:
            _fill_office(location)
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


def _check(location: Location) -> None:
    """Fill the office, buy a course, and ask whether all of it agrees."""
    _fill_office(location)
    purchase.buy(location.url, location.sandbox_url)
    _manage(["verify_invariants"], environment(location))


def _fill_office(location: Location) -> None:
    """Make the cases that the office shows, where the sandbox plays Stripe and the LMS."""
    env = environment(location)
    if env.get("STRIPE_API_BASE") != f"{location.sandbox_url}/stripe":
        return
    if env.get("FRAPPE_LMS_BASE_URL") != f"{location.sandbox_url}/lms":
        return
    print("Filling the office ...", end=" ", flush=True)
    _manage(["seed_office"], env)
    print("done.", flush=True)


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
        "Learner": f"{location.url}/account/  {LEARNER_LOGIN}",
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
