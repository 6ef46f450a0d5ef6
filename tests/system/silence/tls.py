"""TLS in front of a server on loopback, with a certificate of the tests' own authority."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SUBJECT = "/CN=localhost"


class TlsFront:
    """Passes on what it is sent; which certificate it shows may be changed."""

    def __init__(self, port: int, directory: Path) -> None:
        self._behind, self._directory = port, directory
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.authority = directory / "authority.pem"
        self._openssl(
            "req",
            "-x509",
            "-nodes",
            "-newkey",
            "rsa:2048",
            "-days",
            "3650",
            "-subj",
            "/CN=Tests",
            "-keyout",
            "authority.key",
            "-out",
            "authority.pem",
        )
        self.show_certificate(days=365)
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def port(self) -> int:
        return self._listening.getsockname()[1]

    def show_certificate(self, *, days: int) -> None:
        """Have each new connection get a certificate for so many days; end the others."""
        (self._directory / "names").write_text("subjectAltName=DNS:localhost\n")
        self._openssl(
            "req",
            "-nodes",
            "-newkey",
            "rsa:2048",
            "-subj",
            SUBJECT,
            "-keyout",
            "site.key",
            "-out",
            "site.csr",
        )
        self._openssl(
            "x509",
            "-req",
            "-in",
            "site.csr",
            "-CA",
            "authority.pem",
            "-CAkey",
            "authority.key",
            "-CAcreateserial",
            "-days",
            str(days),
            "-extfile",
            "names",
            "-out",
            "site.pem",
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._directory / "site.pem", self._directory / "site.key")
        self._context = context
        while self._open:
            self._open.pop().close()

    def close(self) -> None:
        self._listening.close()

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(
            ["openssl", *arguments], cwd=self._directory, check=True, capture_output=True
        )

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(
                    target=self._pass_on, args=self._listening.accept()[:1], daemon=True
                ).start()

    def _pass_on(self, plain: socket.socket) -> None:
        with suppress(OSError):
            secured = self._context.wrap_socket(plain, server_side=True)
            behind = socket.create_connection(("127.0.0.1", self._behind))
            self._open += [secured, behind]
            threading.Thread(target=_copy, args=(behind, secured), daemon=True).start()
            _copy(secured, behind)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextmanager
def tls_in_front(port: int, directory: Path) -> Iterator[TlsFront]:
    directory.mkdir()
    front = TlsFront(port, directory)
    try:
        yield front
    finally:
        front.close()
