"""Every check and every test, in parts, three at a time; each part has a log of its own in
var/test.

The last line is "N passed, N failed, N skipped" over all parts; a check such as a linter counts as
one. The exit code is 0 only when nothing failed and, with --strict, nothing was skipped either.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from script.children import ROOT, Child, ChildFailed, stop_all
from script.servers import Services

LOGS = ROOT / "var" / "test"
LIMIT_SECONDS = 45 * 60
LOG_SHOWN = 20_000
TIMED, OTHER, ALONE = "timed", "other", "alone"
OTHERS_AT_ONCE = 2
ENGINES = ("sqlite", "postgres", "mongodb")
# These mean the same on every engine, so they run beside the first one only: nothing here may touch
# the database of the run, which tests/test_suite.py makes sure of.
WITHOUT_DATABASE = (
    "tests/sandbox",
    "tests/test_architecture.py",
    "tests/test_faketime.py",
    "tests/test_requirements.py",
    "tests/lms_sync/test_client.py",
    "tests/maaledu/test_checks.py::test_a_good_production_environment_passes_every_check",
    "tests/maaledu/test_checks.py::test_neither_a_worker_nor_a_command_starts_unsafely",
    "tests/maaledu/test_checks.py::test_the_web_server_does_not_start_with_an_empty_one_and_says_everything_at_once",
    "tests/maaledu/test_checks.py::test_the_web_server_starts_with_a_good_environment",
    "tests/maaledu/test_limits.py",
    "tests/requirements/test_everywhere.py::test_a_place_is_released_in_one_module",
    "tests/requirements/test_everywhere.py::test_one_function_hands_messages_to_the_mail_server",
    "tests/requirements/test_everywhere.py::test_production_speaks_https_only_and_says_so_for_a_year",
    "tests/requirements/test_everywhere.py::test_redis_is_optional_and_shared_where_it_is_given",
)
# Fifty thousand deliveries to PostgreSQL: the rate it prints means something only when nothing else
# runs.
REPLAYS = "tests/system/test_replays.py"
# It is one long test: pytest's limit of a test that hangs is not for it.
UNHURRIED = ("-o", "faulthandler_timeout=2400")
PRODUCTION = {
    "MAALEDU_ENV": "production",
    "SECRET_KEY": "0a1b2c3d4e5f6g7h8i9j-only-for-the-check-of-production-settings",
    "ALLOWED_HOSTS": "learn.example.com",
    "SITE_URL": "https://learn.example.com",
    "STRIPE_SECRET_KEY": "sk_live_check",
    "STRIPE_WEBHOOK_SECRET": "whsec_0123456789abcdef",
    "FRAPPE_LMS_BASE_URL": "https://lms.example.com",
    "FRAPPE_LMS_API_KEY": "check-key:check-secret",
    "STAFF_ALERT_EMAILS": "staff@example.com",
    "EMAIL_HOST": "mail.example.com",
    "DEFAULT_FROM_EMAIL": "Shop <courses@example.com>",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "DATABASE_URL": "postgres://postgres@127.0.0.1:5432/maaledu",
    "TRUSTED_PROXY_COUNT": "1",
    "DETAILS_KEYS": "b25seS1mb3ItdGhlLWNoZWNrLW9mLXByb2R1Y3Rpb24=",
}


@dataclass(frozen=True)
class Step:
    """One command; with `tests` it is pytest and its report says how many tests there were."""

    command: list[str]
    env: dict[str, str] = field(default_factory=dict)
    tests: bool = False


@dataclass(frozen=True)
class Part:
    name: str
    steps: list[Step]
    lane: str = OTHER


@dataclass
class Result:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0

    def add(self, other: "Result") -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


# --- what there is to run -------------------------------------------------------------------------
def parts(services: Services) -> dict[str, Callable[[], Part]]:
    """Return how to make each part; a server is started only for a part that needs it.

    Long ones first, so that none is left alone at the end, but PostgreSQL's two apart: each needs
    many of the connections that one server gives.
    """
    made: dict[str, Callable[[], Part]] = {}
    for engine in ("postgres", "mongodb", "sqlite"):
        made[f"system-{engine}"] = lambda engine=engine: _system(engine, services)
    for engine in ("mongodb", "sqlite", "postgres"):
        made[engine] = lambda engine=engine: _engine(engine, services)
    made["browser"] = lambda: Part("browser", [_pytest("tests/e2e", env=_env("sqlite", services))])
    made["lint"] = lambda: Part("lint", _lint())
    made["migrations"] = lambda: _migrations(services)
    made["replays"] = lambda: Part(
        "replays", [_pytest(REPLAYS, *UNHURRIED, env=_env("postgres", services))], lane=ALONE
    )
    made["demo"] = lambda: Part("demo", [Step(["-m", "script.demo", "--check"])], lane=ALONE)
    return made


def _lint() -> list[Step]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    files = [
        name
        for name in listed.stdout.split()
        if "migrations/" not in name and (ROOT / name).exists()
    ]
    return [
        Step(["-m", "ruff", "check", "--output-format", "concise", "."]),
        Step(["-m", "ruff", "format", "--check", "--output-format", "concise", "."]),
        Step(["-m", "mypy"]),
        # In what every request passes, request.META is meant: request.headers makes a mapping of
        # all headers first.
        Step(
            [
                "-m",
                "django_upgrade",
                "--check",
                "--target-version",
                "5.2",
                "--skip",
                "request_headers",
                *files,
            ]
        ),
        Step(["manage.py", "check", "--deploy", "--fail-level", "WARNING"], env=PRODUCTION),
    ]


def _migrations(services: Services) -> Part:
    command = [
        "manage.py",
        "makemigrations",
        "--check",
        "--dry-run",
        "--settings",
        "tests.settings",
    ]
    return Part("migrations", [Step(command, env=_env(engine, services)) for engine in ENGINES])


def _engine(engine: str, services: Services) -> Part:
    elsewhere = ["tests/e2e", "tests/system", *(WITHOUT_DATABASE if engine != ENGINES[0] else ())]
    left_out = [f"{'--deselect' if '::' in path else '--ignore'}={path}" for path in elsewhere]
    return Part(engine, [_pytest("tests", *left_out, env=_env(engine, services))])


def _system(engine: str, services: Services) -> Part:
    """Real processes that are killed: they start Redis servers of their own."""
    services.need_redis()
    apart = [f"--ignore={REPLAYS}"] if engine == "postgres" else []
    return Part(
        f"system-{engine}",
        [_pytest("tests/system", *apart, env=_env(engine, services))],
        lane=TIMED,
    )


def _env(engine: str, services: Services) -> dict[str, str]:
    env = {"TEST_ENGINE": engine}
    if engine == "postgres":
        env["DATABASE_URL"] = services.postgres_url()
    return env


def _pytest(*arguments: str, env: dict[str, str]) -> Step:
    return Step(["-m", "pytest", "-q", "-rfEs", "--durations=10", *arguments], env=env, tests=True)


# --- running --------------------------------------------------------------------------------------
def run_part(part: Part) -> Result:
    """Run the steps of a part one after the other, and say how it went."""
    started, result = time.monotonic(), Result()
    for number, step in enumerate(part.steps):
        done = _run_step(step, f"{part.name}-{number}" if len(part.steps) > 1 else part.name)
        result.add(done)
    result.seconds = time.monotonic() - started
    print(f"{part.name:<15} {result}, {result.seconds:.0f} s", flush=True)
    return result


def _run_step(step: Step, name: str) -> Result:
    report, log = LOGS / f"{name}.xml", LOGS / f"{name}.log"
    command = [sys.executable, *step.command, *([f"--junit-xml={report}"] if step.tests else [])]
    child = Child(name, command, env={**_clean_environment(), **step.env}, log=log)
    running.append(child)
    try:
        code: int | None = child.process.wait(LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        code = None
    child.stop()
    running.remove(child)
    result = _count(report) if step.tests else Result(passed=int(code == 0))
    if code != 0 and not result.failed:
        result.failed = 1
    if result.failed or result.passed == 0:
        _show(name, code, log)
    return result


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
        return _finish(
            _run_all([make() for name, make in parts(services).items() if name in options.parts]),
            strict=options.strict,
        )
    except ChildFailed as problem:
        print(f"script/test: {problem}", file=sys.stderr)
        return 1
    finally:
        stop_all(running)
        services.stop()


def _options(names: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="script/test", description=__doc__)
    known = f"any of: {', '.join(names)}, or system for all of those (default: all)"
    parser.add_argument("parts", nargs="*", metavar="PART", help=known)
    parser.add_argument("--strict", action="store_true", help="fail when a test was skipped, too")
    options = parser.parse_args()
    unknown = [part for part in options.parts if part not in {*names, "system"}]
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(names)}")
    options.parts = [
        name
        for name in names
        if not options.parts or name in options.parts or name.partition("-")[0] in options.parts
    ]
    return options


def _leave(services: Services) -> None:
    """End what runs, and with it this process at once: threads that wait for parts would start the
    next ones.
    """
    stop_all(list(running))
    services.stop()
    print("\nstopped", flush=True)
    os._exit(1)


def _run_all(wanted: list[Part]) -> Result:
    """Run one part that kills and times processes of its own beside two others; then what has to be
    alone.

    Three on two cores, because each of them waits for a server, a browser or a clock in a fourth to
    a half of its time.
    """
    total, started = Result(), time.monotonic()
    timed, others, alone = (
        deque(part for part in wanted if part.lane == lane) for lane in (TIMED, OTHER, ALONE)
    )
    with ThreadPoolExecutor(max_workers=1 + OTHERS_AT_ONCE) as lanes:
        running_lanes = [
            lanes.submit(_work_off, timed, others),
            *(lanes.submit(_work_off, others) for _ in range(OTHERS_AT_ONCE)),
        ]
        for lane in running_lanes:
            total.add(lane.result())
    total.add(_work_off(alone))
    total.seconds = time.monotonic() - started
    return total


def _work_off(*queues: deque[Part]) -> Result:
    """Run what is left of these queues, the first one's parts first; other lanes may take of them
    at the same time.
    """
    total = Result()
    for queue in queues:
        while queue:
            try:
                part = queue.popleft()
            except IndexError:  # another lane was faster
                break
            total.add(run_part(part))
    return total


def _finish(total: Result, *, strict: bool) -> int:
    print(f"\n{total.seconds / 60:.1f} min; logs in {LOGS}\n{total}", flush=True)
    return int(bool(total.failed or not total.passed or (strict and total.skipped)))


if __name__ == "__main__":
    sys.exit(main())
