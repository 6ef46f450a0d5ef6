"""The tests' hand on `tests.system.drive`, which runs the steps of a purchase one at a time, each
in a process of its own.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.engines import ROOT


@dataclass(frozen=True)
class Told:
    """What came of one step: its process's exit code and, unless it was killed, the HTTP status and
    where it led.

    `statuses` are those of a step that several visitors took at once.
    """

    exit: int
    status: int | None = None
    location: str = ""
    raised: str = ""
    statuses: Sequence[int] = ()


class Driver:
    """One such process; `options` is nothing, or "--stay"."""

    def __init__(self, env: dict[str, str], log: Path, *options: str) -> None:
        self.log, self._read = log, 0
        self._errors = log.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.system.drive", *options],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )
        assert self._readline() == "DRIVER READY", self.log.read_text()[-4000:]

    def run(self, step: str, *, mute: bool = False, **arguments: Any) -> Told:
        """Run one step, such as `run("checkout", slug=..., email=...)`; `mute` kills it just before
        it would answer.
        """
        return self._order(step, 1, arguments, mute=mute)[0]

    def race(self, step: str, copies: int, **arguments: Any) -> list[Told]:
        """Run one step in several processes that begin at the same moment."""
        return self._order(step, copies, arguments)

    def _order(
        self, step: str, copies: int, arguments: dict[str, Any], *, mute: bool = False
    ) -> list[Told]:
        assert self._process.stdin
        order = {"step": step, "copies": copies, "mute": mute, "arguments": arguments}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return [Told(**told) for told in json.loads(self._readline())]

    def new_output(self) -> str:
        """Return what the processes have logged since the last call."""
        text = self.log.read_text(errors="replace")
        new, self._read = text[self._read :], len(text)
        return new

    def _readline(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def stop(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()
        self._errors.close()
