"""A disk that could be read only for a while, under real processes on one SQLite file."""

import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import requests

from tests.processes import Proc, free_port, python

pytestmark = [
    pytest.mark.any_engine,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a disk"),
]
THREADS = 8
# Visitors' requests that read, so that each thread has a connection that nobody closes.
MISSING = "/courses/missing/"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", disk], check=True)


def ready(port: int) -> int:
    return requests.get(f"http://127.0.0.1:{port}/health/ready", timeout=20).status_code


def sign_in(port: int) -> int:
    """Sign in, which writes a session, and return what the first answer was."""
    browser, address = requests.Session(), f"http://127.0.0.1:{port}/accounts/login/"
    browser.get(address, timeout=20)
    form = {
        "login": "ada@example.com",
        "password": "long enough 1",
        "csrfmiddlewaretoken": browser.cookies["csrftoken"],
    }
    return browser.post(address, form, timeout=20, allow_redirects=False).status_code


def test_web_and_worker_write_again_once_the_disk_can_be_written(start, disk):
    """Two web processes: one is asked by a monitor, and the other by visitors only."""
    url = f"sqlite:///{disk / 'shop.sqlite3'}"
    with_files_of_a_killed_process(start, url)
    remount(disk, "ro")
    worker = start(python("manage.py", "run_due_work", "--forever"), DATABASE_URL=url)
    webs = [(start_web(start, url), ready, 200), (start_web(start, url), sign_in, 302)]
    worker.wait_line("WORKER READY")
    assert [(statuses(port, MISSING), ask(port)) for (_, port), ask, _ in webs] == [
        ({404}, 503)
    ] * 2
    assert worker.running

    remount(disk, "rw")
    for (web, port), ask, good in webs:
        web.wait_until(partial(writes, port, ask, good), "a process that writes", 20)
    assert worker.wait_end(20) == 0, worker.output()


def start_web(start, url: str) -> tuple[Proc, int]:
    port = free_port()
    command = python("-m", "gunicorn", "maaledu.wsgi", "--bind", f"127.0.0.1:{port}")
    return start(command, DATABASE_URL=url).wait_port(port), port


def writes(port: int, ask: Callable[[int], int], good: int) -> bool:
    return statuses(port, MISSING) == {404} and ask(port) == good


def with_files_of_a_killed_process(start, url: str) -> None:
    """Leave the tables and an account, and the write-ahead log as a machine does that lost its
    power.
    """
    code = (
        "import os; from django.core.management import call_command;"
        "from accounts.models import User; call_command('migrate', verbosity=0);"
        "User.objects.create_user('ada@example.com', 'long enough 1');"
        "os.kill(os.getpid(), 9)"
    )
    killed = start(python("manage.py", "shell", "--no-imports", "-c", code), DATABASE_URL=url)
    assert killed.wait_end(120) == -9, killed.output()


def statuses(port: int, path: str) -> set[int]:
    """Ask through all threads at once, so that each has a connection."""
    address = f"http://127.0.0.1:{port}{path}"
    with ThreadPoolExecutor(THREADS) as pool:
        answers = pool.map(lambda _: requests.get(address, timeout=20).status_code, range(THREADS))
    return set(answers)
