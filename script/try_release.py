"""A shop on SQLite that goes from an earlier version to this one and back, as an upgrade does.

At each step something is bought, and at the end nothing contradicts itself. Both versions run with
the packages of this one.
"""

import argparse
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from script import purchase
from script.children import ROOT, Child, ChildFailed, choose_port, stop_all
from script.demo import answers
from script.demo_settings import Location, environment


class Shop:
    """One database and one address, served by whichever version is started."""

    def __init__(self, directory: Path) -> None:
        ports = [choose_port(0) for _ in range(3)]
        self.location = Location(directory, *ports)
        self.env = environment(self.location)
        self.running: list[Child] = []
        self.started = 0

    def start(self, version: Path, name: str, *arguments: str) -> Child:
        self.started += 1
        log = self.location.directory / f"{self.started}-{name}.log"
        command = [sys.executable, *arguments]
        child = Child(name, command, env=self.env, log=log, folder=version)
        self.running.append(child)
        return child

    def start_sandbox(self) -> Child:
        location = self.location
        ports = ["--port", str(location.sandbox_port), "--smtp-port", str(location.smtp_port)]
        return self.start(ROOT, "sandbox", "-m", "sandbox", *ports).wait_line("SANDBOX READY")

    def serve(self, version: Path) -> None:
        """End the version that serves, and return when this one does."""
        stop_all(self.running[1:])
        del self.running[1:]
        address = f"127.0.0.1:{self.location.web_port}"
        worker = self.start(version, "worker", "manage.py", "run_due_work", "--forever")
        web = self.start(version, "web", "-m", "gunicorn", "maaledu.wsgi", "--bind", address)
        worker.wait_line("WORKER READY")
        web.wait_ready(partial(answers, f"{self.location.url}/health/ready"))

    def manage(self, version: Path, *command: str) -> None:
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=version, env=self.env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise ChildFailed(f"manage.py {command[0]} failed:\n{done.stdout}{done.stderr[-3000:]}")

    def buy(self, what: str) -> None:
        print(f"{what}: ", end="", flush=True)
        purchase.buy(self.location.url, self.location.sandbox_url)


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/try-release", description=__doc__)
    parser.add_argument("commit", nargs="?", default="HEAD~1", help="default: %(default)s")
    with tempfile.TemporaryDirectory(prefix="maaledu-release-") as directory:
        shop = Shop(Path(directory))
        try:
            old = _unpack(parser.parse_args().commit, Path(directory) / "old")
            _there_and_back(shop, old)
        except (ChildFailed, purchase.NotAsPromised) as problem:
            print(f"\nscript/try-release: {problem}", file=sys.stderr)
            return 1
        finally:
            stop_all(shop.running)
    print("There and back, and nothing contradicts itself.")
    return 0


def _there_and_back(shop: Shop, old: Path) -> None:
    shop.start_sandbox()
    for command in (["migrate", "--noinput"], ["seed_demo"]):
        shop.manage(old, *command)
    shop.serve(old)
    shop.buy("The earlier version")
    shop.manage(ROOT, "migrate", "--noinput")
    shop.buy("The earlier version on the new tables")
    shop.serve(ROOT)
    shop.buy("This version")
    shop.manage(ROOT, "verify_invariants")
    shop.serve(old)
    shop.buy("The earlier version again")
    shop.manage(old, "verify_invariants")
    shop.manage(ROOT, "verify_invariants")


def _unpack(commit: str, folder: Path) -> Path:
    folder.mkdir()
    archive = folder.with_suffix(".tar")
    command = ["git", "archive", "--output", str(archive), commit]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ChildFailed("git was not found: the earlier version comes from it.") from error
    if done.returncode:
        raise ChildFailed(f"there is no version {commit} here: {done.stderr.strip()}")
    subprocess.run(["tar", "-x", "-f", str(archive), "-C", str(folder)], check=True)
    return folder


if __name__ == "__main__":
    sys.exit(main())
