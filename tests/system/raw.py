"""HTTP as nobody's library would send it: bytes into a socket, and what comes back."""

import contextlib
import re
import socket
import time
from dataclasses import dataclass

STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})")


@dataclass(frozen=True)
class Answer:
    """What came back until the server closed or was silent; `statuses` has one entry for each
    answer in it.
    """

    data: bytes

    @property
    def statuses(self) -> list[int]:
        return [int(status) for status in STATUS_LINE.findall(self.data)]

    @property
    def status(self) -> int:
        """Return the status of the first answer; 0 where the server hung up without one."""
        return self.statuses[0] if self.statuses else 0

    def header(self, name: str) -> str:
        found = re.search(rf"(?im)^{name}: *(.*?)\r$".encode(), self.data)
        return found[1].decode("latin-1") if found else ""


def request(
    method: str, path: str, *headers: str, body: bytes = b"", host: str = "127.0.0.1"
) -> bytes:
    """Return a well-formed request; its Content-Length is the body's unless a header says
    otherwise.
    """
    given = any(
        header.lower().startswith(("content-length", "transfer-encoding")) for header in headers
    )
    length = [] if given or not (body or method == "POST") else [f"Content-Length: {len(body)}"]
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {host}",
        "Connection: close",
        *headers,
        *length,
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1") + body


def send(port: int, data: bytes, *, seconds: float = 10) -> Answer:
    """Send these bytes and return all that comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        with contextlib.suppress(OSError):  # it may refuse the rest, and say so
            connection.sendall(data)
        return Answer(_read(connection, time.monotonic() + seconds))


def _read(connection: socket.socket, deadline: float) -> bytes:
    received = b""
    while time.monotonic() < deadline:
        try:
            part = connection.recv(65536)
        except OSError:
            break
        if not part:
            break
        received += part
    return received
