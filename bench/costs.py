"""What a call costs this process and its database: CPU time, statements, and memory."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db import connection

PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)


class Statements:
    """Counts the statements, without keeping them."""

    number = 0

    def __call__(self, execute: Callable[..., Any], *statement: Any) -> Any:
        self.number += 1
        return execute(*statement)


def measure(call: Callable[[], object], count: int) -> dict[str, float]:
    """Make the call so many times; return what one takes on average, the most memory in MB, and how
    many rows of tables the page has that it answers.

    What is called several times is called once before, as all day the one before has been. CPU
    time is that of this process and of PostgreSQL's for it, in seconds.
    """
    if count > 1:
        call()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    statements = Statements()
    connection.ensure_connection()
    own, server, wall = time.process_time(), _server_cpu(), time.perf_counter()
    with connection.execute_wrapper(statements):
        for _ in range(count):
            answer = call()
    cpu = time.process_time() - own + _server_cpu() - server
    found = PEAK.search(Path("/proc/self/status").read_text())
    return {
        "seconds": (time.perf_counter() - wall) / count,
        "cpu": cpu / count,
        "statements": statements.number / count,
        "peak": int(found[1]) / 1024 if found else 0,
        "rows": getattr(answer, "content", b"").count(b"<tr"),
    }


def _server_cpu() -> float:
    """Return the CPU time of PostgreSQL's process for this connection; SQLite has none."""
    if connection.vendor != "postgresql":
        return 0
    text = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat").read_text()
    return int(text.split()[0]) / 1e9
