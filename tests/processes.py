"""Real processes for the tests: started in a group of their own, watched, logged to a file, and
always ended.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.engines import ROOT

START_SECONDS = 30
POLL_SECONDS = 0.1


def free_port() -> int:
    """Return a port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


class Proc:
    """One command in its own process group; `env` is the whole environment (see the `process_env`
    fixture).
    """

    def __init__(
        self, command: Sequence[str], *, env: dict[str, str], log: Path, files: Sequence[int] = ()
    ) -> None:
        self.log = log
        self._output = log.open("ab")
        self._popen = subprocess.Popen(
            command,
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            start_new_session=True,
            pass_fds=files,
        )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_port(self, port: int, seconds: float = START_SECONDS) -> "Proc":
        """Wait until it accepts connections on the port."""
        return self.wait_until(lambda: _listens(port), f"port {port}", seconds)

    def wait_line(self, text: str, seconds: float = START_SECONDS) -> "Proc":
        """Wait until its output contains the text."""
        return self.wait_until(lambda: text in self.output(), repr(text), seconds)

    def wait_until(
        self, ready: Callable[[], bool], what: str, seconds: float = START_SECONDS
    ) -> "Proc":
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running:
                raise AssertionError(
                    f"ended with {self._popen.returncode} before {what}:\n{self.output()[-4000:]}"
                )
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"not ready after {seconds} s ({what}):\n{self.output()[-4000:]}"
                )
            time.sleep(POLL_SECONDS)
        return self

    def wait_end(self, seconds: float = START_SECONDS) -> int:
        """Wait until it has ended by itself, and return its exit code (negative: the signal)."""
        return self._popen.wait(seconds)

    def signal_main(self, number: int) -> None:
        """Send a signal to the main process only."""
        if self.running:
            os.kill(self.pid, number)

    def children(self) -> list[int]:
        """Return the ids of its direct child processes."""
        found = subprocess.run(
            ["pgrep", "-P", str(self.pid)], capture_output=True, text=True, check=False
        )
        return [int(line) for line in found.stdout.split()]

    def kill(self) -> None:
        """SIGKILL the whole group, as a power cut would, and wait until it is gone."""
        self._signal_group(signal.SIGKILL)
        self._popen.wait(10)

    def stop(self, seconds: float = 10) -> None:
        """SIGTERM the group, and SIGKILL what has not ended in time."""
        self._signal_group(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(seconds)
        self.kill()
        self._output.close()

    def _signal_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
