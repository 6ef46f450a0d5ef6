"""A shop of its own for each fault: its processes, its database, its sandbox's books."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import pytest

from tests.engines import ROOT
from tests.faketime import Clock, remove_leftovers
from tests.notifications.recorder import Recorder, recording
from tests.postgres_server import PostgresServer
from tests.processes import python
from tests.sandbox_client import Sandbox
from tests.system.shop import environment
from tests.system.silence import table
from tests.system.silence.fault import Fault
from tests.system.silence.stage import COURSE, TOKEN, ManyMachines, Stage


@pytest.fixture(scope="session", autouse=True)
def _table() -> Iterator[None]:
    yield
    if found := os.environ.get("SILENCE_FOUND"):
        table.write(Path(found))


@pytest.fixture(scope="session")
def recorder() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


@pytest.fixture(scope="session")
def stage_env(clock: Clock, timed_sandbox_process: Sandbox, recorder: Recorder) -> dict[str, str]:
    """Return the environment of a shop whose staff are alerted by each way."""
    return {
        **environment("", timed_sandbox_process),
        **clock.environment,
        "DJANGO_SETTINGS_MODULE": "tests.settings_hurried",
        "LMS_BREAKER_OPEN_SECONDS": "60",
        "WORK_LEASE_MARGIN_SECONDS": "60",
        "MONITOR_TOKEN": TOKEN,
        "SLACK_WEBHOOK_URL": f"{recorder.url}/slack",
        "ALERT_WEBHOOK_URL": f"{recorder.url}/webhook",
        "ALERT_WEBHOOK_SECRET": "secret-of-the-silence",
    }


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def new_file(
    stage_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Path], str]:
    """Return what puts an SQLite database with one course into a folder, and returns its URL."""
    template = tmp_path_factory.mktemp("template") / "shop.sqlite3"
    fill({**stage_env, "DATABASE_URL": f"sqlite:///{template}"})

    def copy(folder: Path) -> str:
        return f"sqlite:///{shutil.copy(template, folder)}"

    return copy


@pytest.fixture(scope="session")
def new_database(stage_env: dict[str, str], postgres: PostgresServer) -> Callable[[], str]:
    """Return what makes a PostgreSQL database with one course, and returns its URL."""
    postgres.execute("CREATE DATABASE template")
    fill({**stage_env, "DATABASE_URL": postgres.url("template")})
    numbers = count()

    def copy() -> str:
        name = f"shop{next(numbers)}"
        postgres.execute(f"CREATE DATABASE {name} TEMPLATE template")
        return postgres.url(name)

    return copy


def fill(env: dict[str, str]) -> None:
    for arguments in (["migrate", "--noinput"], ["shell", "--no-imports", "-c", COURSE]):
        subprocess.run(
            python("manage.py", *arguments), cwd=ROOT, env=env, check=True, capture_output=True
        )


@pytest.fixture
def new_stage(
    request: pytest.FixtureRequest,
    stage_env: dict[str, str],
    timed_sandbox: Sandbox,
    clock: Clock,
    tmp_path: Path,
) -> Iterator[Callable[[Fault], Stage]]:
    """Return what opens the shop of a fault; all of it ends with the test."""
    with ExitStack() as end:

        def new(fault: Fault) -> Stage:
            env = dict(stage_env)
            if fault.stage is ManyMachines:
                env["DATABASE_URL"] = request.getfixturevalue("new_database")()
            else:
                folder = end.enter_context(disk(tmp_path / "disk", fault.disk))
                env["DATABASE_URL"] = request.getfixturevalue("new_file")(folder)
            stage = fault.stage(env, timed_sandbox, tmp_path, clock=clock)
            end.callback(stage.close)
            stage.env["BACKUP_DIR"] = str(tmp_path / "backups")
            stage.disk = tmp_path / "disk"
            if fault.stage is ManyMachines:
                stage.postgres = request.getfixturevalue("postgres")
            timed_sandbox.webhooks(events="*")
            stage.open()
            return stage

        yield new
    remove_leftovers()


@contextmanager
def disk(folder: Path, size: str) -> Iterator[Path]:
    """A folder, or a small disk of its own in memory where a size is given."""
    folder.mkdir()
    if size:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        subprocess.run(mount, check=True)
    try:
        yield folder
    finally:
        if size:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
