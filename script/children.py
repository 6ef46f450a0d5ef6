"""Processes that belong to this one: each has its own log and ends when this one ends."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60
STOP_SECONDS = 15
POLL_SECONDS = 0.1
TAIL_LINES = 20
PR_SET_PDEATHSIG = 1


class ChildFailed(Exception):
    """A process ended, or was not ready in time; the message holds the end of its log."""


class Child:
    """One running process, in a process group of its own.

    A Ctrl-C reaches it through its parent only.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: dict[str, str],
        log: Path,
        folder: Path = ROOT,
    ) -> None:
        self.name, self.log = name, log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 it calls one function of the C library
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def check(self) -> None:
        """Raise ChildFailed if it has ended."""
        if not self.is_running:
            raise ChildFailed(
                f"the {self.name} ended with exit code {self.process.returncode}:\n{self.tail()}"
            )

    def tail(self) -> str:
        return "\n".join(f"    {line}" for line in self.output().splitlines()[-TAIL_LINES:])

    def wait_ready(self, ready: Callable[[], bool], seconds: float = START_SECONDS) -> "Child":
        """Wait until `ready()`.

        Raises ChildFailed when the process ends before that or takes longer than `seconds`.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise ChildFailed(
                    f"the {self.name} was not ready after {seconds:.0f} s:\n{self.tail()}"
                )
            time.sleep(POLL_SECONDS)
        return self

    def wait_line(self, text: str) -> "Child":
        return self.wait_ready(lambda: text in self.output())

    def stop(self) -> None:
        """End it and what it started: politely first, by force after STOP_SECONDS."""
        _signal_group(self.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        _signal_group(self.pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)


def _end_with_parent() -> None:
    """Ask Linux to end this process when its parent is killed.

    Elsewhere it has to be ended by hand then.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def stop_all(children: list[Child]) -> None:
    """End these processes, the last started first."""
    for child in reversed(children):
        child.stop()


def choose_port(wanted: int) -> int:
    """Return the wanted port if nobody listens on it, otherwise any free one."""
    for port in (wanted, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return probe.getsockname()[1]
    raise ChildFailed("no free port was found on 127.0.0.1")
