"""The web process behind maaledu-web.socket, as systemd hands it over."""

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Self

import pytest
import requests

from tests.processes import Proc, python

pytestmark = [pytest.mark.any_engine, pytest.mark.slow]

# The socket is file 3, and the variables name the very process that gunicorn becomes.
AS_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""
GUNICORN = python("-m", "gunicorn", "maaledu.wsgi")


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listening:
        yield listening


class Visitors:
    """Ask one after the other until told to stop."""

    def __init__(self, url: str) -> None:
        self.url, self.statuses, self.stop = url, [], threading.Event()
        self.thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        while not self.stop.is_set():
            try:
                self.statuses.append(requests.get(self.url, timeout=30).status_code)
            except requests.ConnectionError as error:
                self.statuses.append(str(error))

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join(60)


def test_nobody_is_refused_while_the_web_process_is_restarted(
    start: Callable[..., Proc], listening: socket.socket
) -> None:
    def web() -> Proc:
        command = python("-c", AS_SYSTEMD, str(listening.fileno()), *GUNICORN)
        return start(command, files=(listening.fileno(),)).wait_line("Booting worker")

    first = web()
    with Visitors(f"http://127.0.0.1:{listening.getsockname()[1]}/health/live") as visitors:
        first.wait_until(lambda: len(visitors.statuses) > 20, "answers")
        first.stop(seconds=40)
        asked = len(visitors.statuses)
        second = web()
        second.wait_until(lambda: len(visitors.statuses) > asked + 20, "answers")
    assert set(visitors.statuses) == {200}
