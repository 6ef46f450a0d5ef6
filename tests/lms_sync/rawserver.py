"""A server for what no HTTP library would send: it answers each connection with a script of bytes
and pauses.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

Script = Sequence[bytes | float]


@dataclass
class RawServer:
    """Plays `script` to every connection: bytes are sent, numbers are seconds of silence. Keeps
    what it was sent. A function returns what to play for a request.
    """

    script: Script | Callable[[bytes], Script]
    certificate: Path | None = None
    requests: list[bytes] = field(default_factory=list)
    accepted_at: list[float] = field(default_factory=list)
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def port(self) -> int:
        return self.listener.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http{'s' if self.certificate else ''}://127.0.0.1:{self.port}"

    def serve(self) -> None:
        while not self.ended.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.accepted_at.append(time.time())
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        try:
            with self._secured(connection) as talking:
                request = talking.recv(65536)
                self.requests.append(request)
                script = self.script(request) if callable(self.script) else self.script
                self._play(talking, script)
        except OSError:
            pass

    def _secured(self, connection: socket.socket) -> socket.socket:
        if self.certificate is None:
            return connection
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        return context.wrap_socket(connection, server_side=True)

    def _play(self, connection: socket.socket, script: Script) -> None:
        for part in script:
            if isinstance(part, bytes):
                connection.sendall(part)
            else:
                time.sleep(part)


@contextmanager
def raw_server(
    script: Script | Callable[[bytes], Script], *, certificate: Path | None = None
) -> Iterator[RawServer]:
    server = RawServer(script, certificate)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()
        thread.join(5)


def drip(content: bytes, seconds: float) -> list[bytes | float]:
    """Return a script that sends one byte at a time."""
    script: list[bytes | float] = []
    for position in range(len(content)):
        script += [content[position : position + 1], seconds]
    return script


def response(body: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    length = f"Content-Length: {len(body)}\r\n"
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{length}{headers}\r\n".encode()
        + body
    )
