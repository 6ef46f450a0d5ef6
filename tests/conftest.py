import gc
import itertools
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import caches
from django.db import connection, connections
from pytest_django.fixtures import Settings

from lms_sync import accounts, call_counts, pace, seats, states
from maaledu.work import queue
from tests import any_engine
from tests.cleaning import INSERT_ONLY, empty_database
from tests.engines import ROOT, url_of_test_database
from tests.faults import Faults
from tests.processes import Proc
from tests.sandbox_client import Sandbox

ENGINES = {"sqlite": "sqlite", "postgresql": "postgres", "mongodb": "mongodb"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, rather than skip, what is not meant for the engine of this run (the mark
    `engines`).
    """
    engine = ENGINES[connection.vendor]
    others = [
        item
        for item in items
        if (mark := item.get_closest_marker("engines")) and engine not in mark.args
    ]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


def pytest_collection_finish(session: pytest.Session) -> None:
    """What has been loaded by now stays until the end, so that Python need not look through it for
    garbage again and again; and what a test leaves is little beside the memory there is.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """A test that is run on SQLite alone because of its mark does nothing for which that would not
    be enough.
    """
    with any_engine.watched(item):
        yield


# --- any_engine: no statement is asked by tests for SQLite alone ----------------------------------
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A process of `-n 2` sends what was asked in it; the one that began it looks at all."""
    if hasattr(session.config, "workerinput"):
        session.config.workeroutput["asked"] = any_engine.noted()
    elif _asked_in_vain(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a process of `-n 2` has sent."""
    any_engine.take(getattr(node, "workeroutput", {}).get("asked", [[], {}]))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for kind, test in _asked_in_vain(config).items():
        terminalreporter.write_line(
            f"A test for every engine is missing, or `every_engine` on {test}, which asks: {kind}"
        )


def _asked_in_vain(config: pytest.Config) -> dict[str, str]:
    return any_engine.asked_on_any_engine_alone() if is_whole(config) else {}


def is_whole(config: pytest.Config) -> bool:
    """Whether this is the part of script/test that runs everything on SQLite."""
    folders = [Path(argument).resolve() for argument in config.args]
    selected = config.option.markexpr or config.option.keyword
    return connection.vendor == "sqlite" and folders == [ROOT / "tests"] and not selected


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker) -> None:
    """The tests' tables are made from the models, without migrations: the triggers of those that
    are written once are put in here.
    """
    with django_db_blocker.unblock():
        for table in INSERT_ONLY:
            table.install(connection)
        connections.close_all()


@pytest.fixture
def _django_db_helper(django_db_setup: None, django_db_blocker) -> Iterator[None]:
    """What pytest-django's `db`, `transactional_db` and `django_db` mark stand on: here one thing
    on every engine.
    """
    with django_db_blocker.unblock():
        try:
            yield
        finally:
            if not serves_the_next_test():
                connections.close_all()
            empty_database()
            if connection.vendor != "sqlite":
                connections.close_all()
            _every_connection_came_back()


def serves_the_next_test() -> bool:
    """SQLite's connection knows its statements already; unless it is in the middle of something."""
    return (
        connection.vendor == "sqlite"
        and connection.connection is not None
        and not connection.in_atomic_block
        and not connection.connection.in_transaction
        and not connection.errors_occurred
    )


def _every_connection_came_back() -> None:
    """A thread that ends without closing takes its connection out of PostgreSQL's pool for good,
    and starves later tests.
    """
    pool = getattr(connection, "pool", None)
    if pool:
        until = time.monotonic() + 2
        while _lost(pool) and time.monotonic() < until:
            time.sleep(0.01)
        assert _lost(pool) == 0, (
            "a thread of this test ended without closing its connection: use tests.concurrency.race"
        )


def _lost(pool: Any) -> int:
    stats = pool.get_stats()
    return stats.get("pool_size", 0) - stats.get("pool_available", 0)


@pytest.fixture(autouse=True)
def _as_a_new_process() -> Iterator[None]:
    """Limits and cached pages live in the cache, and what a worker has reserved and noticed in its
    memory: each test starts without any.
    """
    yield
    for cache in caches.all():
        cache.clear()
    noticed = (pace._paces, seats._full_until, accounts._busy_until, call_counts._passed)
    for each in (*noticed, states._known):
        each.clear()
    queue._looks = itertools.count()


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[Sandbox]:
    with Sandbox(courses_any=True, async_delay=0.2) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(sandbox_process: Sandbox, settings: Settings) -> Sandbox:
    """Stripe, the LMS and the mailbox as one real process, empty and well, with the settings
    pointing at it.

    It sends no webhook until a test gives it an address (`sandbox.webhooks(url=..., hold=False)`).
    """
    sandbox_process.reset()
    sandbox_process.webhooks(hold=True)
    settings.STRIPE_API_BASE = sandbox_process.stripe_url
    settings.STRIPE_MAX_RETRIES = 0
    settings.STRIPE_READ_SECONDS = 2
    settings.FRAPPE_LMS_BASE_URL = sandbox_process.lms_url
    settings.EMAIL_PORT = sandbox_process.smtp_port
    return sandbox_process


@pytest.fixture
def process_env(request: pytest.FixtureRequest, db: None) -> dict[str, str]:
    """Return the environment of a real web or worker process on this run's test database (and
    sandbox, where asked for).
    """
    if "sandbox" in request.fixturenames:
        request.getfixturevalue("sandbox")
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "maaledu.settings",
        "DATABASE_URL": url_of_test_database(
            connection.settings_dict, django_settings.DATABASE_URL
        ),
        "STRIPE_API_BASE": django_settings.STRIPE_API_BASE,
        "FRAPPE_LMS_BASE_URL": django_settings.FRAPPE_LMS_BASE_URL,
        "EMAIL_PORT": str(django_settings.EMAIL_PORT),
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture
def faults(tmp_path: Path) -> Faults:
    """Return the means to cut a process at its n-th write: `start(command, **faults.environment)`,
    then `faults.arm(n, kind)`.
    """
    return Faults(tmp_path)


@pytest.fixture
def start(process_env: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Proc]]:
    """Return a function that starts a process, `start(command, **environment)`; all of them are
    ended after the test. It gets this process's open files of these numbers, too.
    """
    started: list[Proc] = []

    def start_one(command: list[str], files: Sequence[int] = (), **environment: str) -> Proc:
        log = tmp_path / f"process-{len(started)}.log"
        started.append(Proc(command, env={**process_env, **environment}, log=log, files=files))
        return started[-1]

    yield start_one
    for process in reversed(started):
        process.stop()
