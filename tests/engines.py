"""Which database the tests run on: TEST_ENGINE = sqlite (default) | postgres | mongodb, or a
DATABASE_URL of one's own.

Several runs may go on at once: every run has a test database of its own, named after its process.
"""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
POSTGRES_URL = "postgres://postgres@127.0.0.1:5432/maaledu"
IN_MEMORY_HOST = "secantus"
RUN_NAME = f"test_maaledu_{os.getpid()}"


def database_url() -> str:
    """Return the DATABASE_URL the settings are to read, with its server running."""
    wanted = os.environ.get("DATABASE_URL") or os.environ.get("TEST_ENGINE", "sqlite")
    if wanted.startswith("postgres"):
        return POSTGRES_URL if wanted == "postgres" else wanted
    if wanted == "mongodb" or wanted.startswith(f"mongodb://{IN_MEMORY_HOST}"):
        return start_mongodb()
    if wanted.startswith("mongodb"):
        return wanted
    return f"sqlite:///{Path(run_directory()) / 'main.sqlite3'}"


def run_directory() -> str:
    """Return a directory that is removed when this process ends; in memory where there is such a
    place.
    """
    parent = "/dev/shm" if Path("/dev/shm").is_dir() else None
    directory = tempfile.mkdtemp(prefix=f"{RUN_NAME}_", dir=parent)
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


def start_mongodb() -> str:
    """Start a MongoDB-wire server that ends with this process, also when this process is killed:
    its input closes.
    """
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.mongo_server"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    atexit.register(server.wait, 10)
    atexit.register(server.stdin.close)
    return f"{server.stdout.readline().strip().rstrip('/')}/maaledu"


def for_tests(database: dict) -> dict:
    """Return a DATABASES entry with a test database of this run's own, and without waiting for the
    disk.
    """
    engine, options = database["ENGINE"], dict(database.get("OPTIONS", {}))
    name = RUN_NAME
    if engine.endswith("sqlite3"):
        name = str(Path(database["NAME"]).with_name("test.sqlite3"))
        options["init_command"] = options["init_command"].replace(
            "synchronous=FULL", "synchronous=OFF"
        )
        # The tests of a module ask some thousand different statements, one test after another.
        options["cached_statements"] = 2000
    elif engine.endswith("postgresql"):
        options["options"] = f"{options.get('options', '')} -c synchronous_commit=off".strip()
    else:
        options["heartbeatFrequencyMS"] = 500  # so that an injected "not primary" is over soon
    return {**database, "OPTIONS": options, "TEST": {"NAME": name}}


def url_of_test_database(database: dict, url: str) -> str:
    """Return the DATABASE_URL of the test database, for real processes that share it with the
    tests.
    """
    if database["ENGINE"].endswith("sqlite3"):
        return f"sqlite:///{database['NAME']}"
    base, _, _name = url.partition("?")[0].rpartition("/")
    return f"{base}/{database['NAME']}"
