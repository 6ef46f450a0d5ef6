"""The HTTP server: reads requests, routes them by prefix, and sends answers.

Answers leave whole, late, broken or not at all.
"""

from __future__ import annotations

import socket
import struct
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from sandbox.wire import Request, Response, html_response

Handle = Callable[[Request], Response]
REASONS = {status.value: status.phrase for status in HTTPStatus}
BODY_LIMIT = 32 * 1024 * 1024
LAST_DATA_AT = 52  # where Linux's tcp_info has tcpi_last_data_recv, in milliseconds


class Server(ThreadingHTTPServer):
    """A thread a connection, keep-alive, no delay."""

    daemon_threads = True
    request_queue_size = 512
    allow_reuse_address = True

    def __init__(
        self,
        address: tuple[str, int],
        routes: Sequence[tuple[str, Handle]],
        *,
        verbose: bool = False,
    ) -> None:
        self.routes = routes
        self.verbose = verbose
        super().__init__(address, Handler)

    def server_bind(self) -> None:
        """Bind without the reverse look-up of the host name that http.server does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = host, port = self.socket.getsockname()[:2]
        self.server_name, self.server_port = str(host), int(port)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are everyday; anything else is a bug of the sandbox and is shown."""
        if not isinstance(sys.exc_info()[1], OSError):
            traceback.print_exc()

    def answer(self, request: Request) -> Response:
        """Hand the request to the first app whose prefix fits; a bug in an app is a 500."""
        for prefix, handle in self.routes:
            if request.path.startswith(prefix):
                return self._run(handle, request)
        return html_response("<h1>Not found</h1>", 404)

    def _run(self, handle: Handle, request: Request) -> Response:
        try:
            return handle(request)
        except Exception:  # noqa: BLE001 -- the last line of defence of a server loop
            traceback.print_exc()
            return Response(
                500,
                traceback.format_exc().encode(),
                "text/plain; charset=utf-8",
                [("X-Sandbox-Bug", "1")],
            )


def seconds_since_data(connection: socket.socket) -> float:
    """Return how long ago the last of what was read arrived; 0 where the system does not say."""
    option = getattr(socket, "TCP_INFO", None)
    if option is None:
        return 0.0
    facts = connection.getsockopt(socket.IPPROTO_TCP, option, LAST_DATA_AT + 4)
    return struct.unpack_from("I", facts, LAST_DATA_AT)[0] / 1000 if facts[LAST_DATA_AT:] else 0.0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 300
    server: Server

    def handle_one_request(self) -> None:
        """Read one request, answer it, and keep the connection unless a side wants it closed."""
        self.close_connection = True
        line = self.rfile.readline(65537)
        parts = line.split()
        if len(parts) != 3:
            return
        headers = self._read_headers()
        raw_path, _, query = parts[1].decode("latin-1").partition("?")
        request = Request(
            parts[0].decode("latin-1"), unquote(raw_path), query, headers, self._read_body(headers)
        )
        request.arrived_at -= seconds_since_data(self.connection)
        self.close_connection = (
            headers.get("connection", "").lower() == "close" or parts[2] == b"HTTP/1.0"
        )
        response = self.server.answer(request)
        if self.server.verbose:
            print(
                f"{request.label} {response.status} {response.transport}",
                file=sys.stderr,
                flush=True,
            )
        self._send(request, response)

    def _read_headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        while (line := self.rfile.readline(65537)) not in (b"\r\n", b"\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip("\t\r\n").removeprefix(" ")
        return headers

    def _read_body(self, headers: dict[str, str]) -> bytes:
        if headers.get("expect", "").lower() == "100-continue":
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return self._read_chunks()
        length = int(headers.get("content-length") or 0)
        return self.rfile.read(min(length, BODY_LIMIT)) if length else b""

    def _read_chunks(self) -> bytes:
        chunks = []
        while size := int(self.rfile.readline(1024).split(b";")[0] or b"0", 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline(8)
        while self.rfile.readline(65537) not in (b"\r\n", b"\n", b""):
            pass
        return b"".join(chunks)

    def _send(self, request: Request, response: Response) -> None:
        if response.transport in {"drop", "reset"}:
            self._hang_up(reset=response.transport == "reset")
            return
        body = b"" if request.method == "HEAD" else response.body
        head = self._head(response)
        if response.transport == "send":
            self.connection.sendall(head + body)
            return
        self._send_broken(head, body, response)

    def _head(self, response: Response) -> bytes:
        length = len(response.body) + (64 if response.transport == "short" else 0)
        lines = [
            f"HTTP/1.1 {response.status} {REASONS.get(response.status, 'Unknown')}",
            f"Content-Length: {length}",
        ]
        if response.content_type:
            lines.append(f"Content-Type: {response.content_type}")
        lines.extend(f"{name}: {value}" for name, value in response.headers)
        lines.append(
            "Connection: close\r\n\r\n"
            if self.close_connection
            else "Connection: keep-alive\r\n\r\n"
        )
        return "\r\n".join(lines).encode("latin-1", "replace")

    def _send_broken(self, head: bytes, body: bytes, response: Response) -> None:
        if response.transport == "drip":
            self.connection.sendall(head)
            for index in range(len(body)):
                self.connection.sendall(body[index : index + 1])
                time.sleep(response.pause)
            return
        self.close_connection = True
        self.connection.sendall(
            head + (body[: len(body) // 2] if response.transport == "half" else body)
        )

    def _hang_up(self, *, reset: bool) -> None:
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
