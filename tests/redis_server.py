"""A Redis server of a test's own."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.processes import Proc, free_port


@contextmanager
def redis_server(directory: Path, *options: str, port_option: str = "--port") -> Iterator[int]:
    """Run one that keeps nothing on the disk, and yield its port."""
    server, port = shutil.which("redis-server"), free_port()
    assert server, "redis-server is not installed"
    own = [port_option, str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory)]
    process = Proc([server, *own, *options], env={}, log=directory / "redis.log")
    try:
        process.wait_port(port)
        yield port
    finally:
        process.stop()
