"""Every check and every test, in parts, three at a time; each part has a log of its own in
var/test.

Now and then each part says how far it is. The last line is "N passed, N failed, N skipped" over all
parts; a check such as a linter counts as one. The exit code is 0 only when nothing failed and, with
--strict, nothing was skipped either. `script/test quick` is for the time between two changes: the
checks of the source, and what SQLite answers without a browser or a process of the product.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from script.children import ROOT, Child, ChildFailed, stop_all
from script.parts import GROUPS, PRODUCTION, QUICK, Part, Step, parts
from script.servers import Services

LOGS = ROOT / "var" / "test"
LIMIT_SECONDS = 45 * 60
PROGRESS_SECONDS = 30
LOG_SHOWN = 20_000
AT_ONCE = 3
NUMBER_OF_TOTAL = re.compile(r"\[ *(\d+)/(\d+)\]")


@dataclass
class Result:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, other: "Result") -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


@dataclass(frozen=True)
class Done:
    """A part that has ended."""

    name: str
    result: Result
    seconds: float

    def __str__(self) -> str:
        return f"{self.name:<15} {self.result}, {self.seconds:.0f} s"


def run_part(part: Part) -> Done:
    """Run the steps of a part one after the other, and say how it went."""
    started, result = time.monotonic(), Result()
    for number, step in enumerate(part.steps):
        result.add(_run_step(step, f"{part.name}-{number}" if len(part.steps) > 1 else part.name))
    done = Done(part.name, result, time.monotonic() - started)
    print(done, flush=True)
    return done


def _run_step(step: Step, name: str) -> Result:
    report, log = LOGS / f"{name}.xml", LOGS / f"{name}.log"
    command = [sys.executable, *step.command, *([f"--junit-xml={report}"] if step.tests else [])]
    child = Child(name, command, env={**_clean_environment(), **step.env}, log=log)
    running.append(child)
    code = _wait(child)
    child.stop()
    running.remove(child)
    result = _count(report) if step.tests else Result(passed=int(code == 0))
    if code != 0 and not result.failed:
        result.failed = 1
    if result.failed or result.passed == 0:
        _show(name, code, log)
    return result


def _wait(child: Child) -> int | None:
    """Return its exit code, or None when it takes longer than LIMIT_SECONDS; say now and then how
    far it is.
    """
    started = time.monotonic()
    while (seconds := time.monotonic() - started) < LIMIT_SECONDS:
        try:
            return child.process.wait(PROGRESS_SECONDS)
        except subprocess.TimeoutExpired:
            print(
                f"  {child.name:<15} {_progress(child.output())},"
                f" {seconds + PROGRESS_SECONDS:.0f} s",
                flush=True,
            )
    return None


def _progress(output: str) -> str:
    """Return what pytest wrote last of the number of tests that are done."""
    numbers = NUMBER_OF_TOTAL.findall(output)
    return f"{numbers[-1][0]} of {numbers[-1][1]} tests" if numbers else "running"


def _clean_environment() -> dict[str, str]:
    """Return this environment without what would lead the product or the tests to servers of
    somebody's own.

    What Python compiled is kept, whatever somebody prefers otherwise: the parts start hundreds of
    processes.
    """
    ours = ("DATABASE_URL", "TEST_ENGINE", "TEST_REDIS_URL", "PYTHONDONTWRITEBYTECODE", *PRODUCTION)
    return {name: value for name, value in os.environ.items() if name not in ours}


def _count(report: Path) -> Result:
    """Read pytest's report; one that is missing or has no tests is a failure."""
    if not report.exists():
        return Result(failed=1)
    suites = list(ET.parse(report).getroot().iter("testsuite"))
    total, failed, skipped = (
        sum(int(suite.get(name, 0)) for suite in suites for name in names)
        for names in (("tests",), ("failures", "errors"), ("skipped",))
    )
    return Result(
        passed=max(total - failed - skipped, 0), failed=failed or int(total == 0), skipped=skipped
    )


def _show(name: str, code: int | None, log: Path) -> None:
    how = (
        f"did not end within {LIMIT_SECONDS} s" if code is None else f"ended with exit code {code}"
    )
    text = log.read_text(errors="replace")
    print(
        f"\n===== {name} {how}; {log} ends: =====\n{text[-LOG_SHOWN:]}\n===== end of {name}"
        " =====\n",
        flush=True,
    )


running: list[Child] = []


def main() -> int:
    services = Services()
    options = _options(list(parts(services)))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _leave(services))
    LOGS.mkdir(parents=True, exist_ok=True)
    for old in LOGS.glob("*.*"):
        old.unlink()
    try:
        started = time.monotonic()
        done = _run_all([make() for name, make in parts(services).items() if name in options.parts])
        return _finish(done, time.monotonic() - started, strict=options.strict)
    except ChildFailed as problem:
        print(f"script/test: {problem}", file=sys.stderr)
        return 1
    finally:
        stop_all(running)
        services.stop()


def _options(names: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="script/test", description=__doc__)
    known = [*names, *GROUPS]
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help=f"any of: {', '.join(known)} (default: all but {QUICK})",
    )
    parser.add_argument("--strict", action="store_true", help="fail when a test was skipped, too")
    options = parser.parse_args()
    unknown = [part for part in options.parts if part not in known]
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(known)}")
    asked = {name for part in options.parts for name in GROUPS.get(part, [part])} or {*names} - {
        QUICK
    }
    options.parts = [name for name in names if name in asked]
    return options


def _leave(services: Services) -> None:
    """End what runs, and with it this process at once: threads that wait for parts would start the
    next ones.
    """
    stop_all(list(running))
    services.stop()
    print("\nstopped", flush=True)
    os._exit(1)


class Waiting:
    """The parts that are to be run, in their order; none is begun beside one that has what it has
    to be alone with.
    """

    def __init__(self, wanted: list[Part]) -> None:
        self._wanted, self._taken, self._changed = list(wanted), list[Part](), threading.Condition()

    def take(self) -> Part | None:
        """Return the first part that may be begun, as soon as there is one; None when none is
        left.
        """
        with self._changed:
            while self._wanted:
                taken = {name for part in self._taken for name in part.alone_with}
                free = [part for part in self._wanted if not part.alone_with & taken]
                if free:
                    self._wanted.remove(free[0])
                    self._taken.append(free[0])
                    return free[0]
                self._changed.wait()
        return None

    def end(self, part: Part) -> None:
        with self._changed:
            self._taken.remove(part)
            self._changed.notify_all()


def _run_all(wanted: list[Part]) -> list[Done]:
    """Run three parts at a time.

    Three on two cores, because each of them waits for a server, a browser or a clock in a fourth to
    a half of its time.
    """
    waiting = Waiting(wanted)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        lanes = [pool.submit(_work_off, waiting) for _ in range(AT_ONCE)]
        return [done for lane in lanes for done in lane.result()]


def _work_off(waiting: Waiting) -> list[Done]:
    done = []
    while part := waiting.take():
        try:
            done.append(run_part(part))
        finally:
            waiting.end(part)
    return done


def _finish(done: list[Done], seconds: float, *, strict: bool) -> int:
    total = Result()
    print()
    for part in sorted(done, key=lambda part: part.seconds, reverse=True):
        total.add(part.result)
        print(part)
    print(f"\n{seconds / 60:.1f} min; logs in {LOGS}\n{total}", flush=True)
    return int(bool(total.failed or not total.passed or (strict and total.skipped)))


if __name__ == "__main__":
    sys.exit(main())
