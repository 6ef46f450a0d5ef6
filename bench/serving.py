"""The processes that are measured, and the one that makes their requests."""

import http.client
import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from script.children import ROOT, Child, choose_port

WARM_UP = 10
Data = dict[str, Any]


class Probe:
    """The other end of bench.probe's pipe."""

    def __init__(self, module: str, env: dict[str, str]) -> None:
        command = [sys.executable, "-m", "bench.probe", module]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, do: str, case: str, count: int) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"do": do, "case": case, "count": count}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(
                f"the probe ended in “{do} {case}” with exit code {self._process.wait()}"
            )
        return json.loads(answer)

    def stop(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


class Server:
    """gunicorn with one worker process, started as in production, and one kept connection."""

    def __init__(self, name: str, application: str, env: dict[str, str], directory: Path) -> None:
        self.port = choose_port(0)
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            application,
            "--workers",
            "1",
            "--bind",
            f"127.0.0.1:{self.port}",
        ]
        self.child = Child(name, command, env=env, log=directory / f"{name}.log")
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def wait_ready(self) -> None:
        self.child.wait_ready(self._listens)
        self.worker = int(
            Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children").read_text().split()[0]
        )

    def _listens(self) -> bool:
        try:
            self.send({"method": "GET", "path": "/", "body": "", "headers": {}})
        except OSError:
            self._connection.close()
            return False
        return True

    def expect(self, request: Data, status: int) -> None:
        """Send a request; raises RuntimeError when it is answered with another status."""
        got = self.send(request)
        if got != status:
            raise RuntimeError(
                f"{request['method']} {request['path']} answered {got} instead of {status}"
            )

    def send(self, request: Data) -> int:
        headers = {
            "Host": "127.0.0.1",
            "Accept": "text/html",
            "User-Agent": "bench",
            **request["headers"],
        }
        try:
            response = self._answer(request, headers)
        except (
            http.client.RemoteDisconnected,
            BrokenPipeError,
        ):  # the server closes a connection after a pause
            self._connection.close()
            response = self._answer(request, headers)
        response.read()
        return response.status

    def _answer(self, request: Data, headers: dict[str, str]) -> http.client.HTTPResponse:
        self._connection.request(
            request["method"], request["path"], request["body"].encode() or None, headers
        )
        return self._connection.getresponse()

    def cpu_ns(self) -> int:
        """Return how long the worker's threads have been on a CPU.

        It is the first figure of schedstat, which only Linux has.
        """
        tasks = Path(f"/proc/{self.worker}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


@dataclass(frozen=True)
class Lane:
    """The requests for one server, and what was read while it answered them, in nanoseconds.

    `wall` is how long each took, `cpu` the server's CPU time before each.
    """

    server: Server
    requests: list[Data]
    status: int
    wall: list[int] = field(default_factory=list)
    cpu: list[int] = field(default_factory=list)

    def warm_up(self) -> None:
        for request in self.requests[:WARM_UP]:
            self.server.expect(request, self.status)

    def send(self, request: Data) -> None:
        # What a worker still does after its answer is part of the request: it shows in the next
        # reading.
        self.cpu.append(self.server.cpu_ns())
        start = time.perf_counter_ns()
        self.server.expect(request, self.status)
        self.wall.append(time.perf_counter_ns() - start)

    def result(self) -> Data:
        """Return the CPU time of a request on average, and of each request both times, in µs."""
        readings = [*self.cpu, self.server.cpu_ns()]
        return {
            "cpu": (readings[-1] - readings[0]) / 1000 / len(self.wall),
            "each": [(after - before) / 1000 for before, after in pairwise(readings)],
            "wall": [took / 1000 for took in self.wall],
        }


def run_in_turn(lanes: list[Lane]) -> list[Data]:
    """Send each server a request in turn until all are sent, and return each lane's result.

    That way they meet the same load of the machine, and their ratio does not depend on it.
    """
    for lane in lanes:
        lane.warm_up()
    for turn in zip(*(lane.requests[WARM_UP:] for lane in lanes), strict=True):
        for lane, request in zip(lanes, turn, strict=True):
            lane.send(request)
    return [lane.result() for lane in lanes]
