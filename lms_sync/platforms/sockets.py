"""Connections with a total deadline and checked addresses.

A read time-out alone does not stop a server that sends one byte a second, so every receive gets
only what is left of the whole call. The deadline belongs to the thread, because a kept-alive
connection outlives a call.
"""

import functools
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import urllib3.connection
import urllib3.connectionpool
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from lms_sync.platforms.address import check_resolved

_call = threading.local()


@contextmanager
def total_deadline(seconds: float, wait: Callable[[], float] | None = None) -> Iterator[None]:
    """End every network wait of this thread, inside the block, at most `seconds` from now.

    `wait` is called when the connection is made and before the request is sent: the seconds that it
    returns are given in addition.
    """
    _call.ends_at, _call.wait = time.monotonic() + seconds, wait
    try:
        yield
    finally:
        _call.ends_at, _call.wait = None, None


def remaining() -> float:
    ends_at = getattr(_call, "ends_at", None)
    left = 3600.0 if ends_at is None else ends_at - time.monotonic()
    if left <= 0:
        raise TimeoutError("the whole call took too long")
    return left


class DeadlineSocket(socket.socket):
    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(remaining())
        return super().recv_into(*args, **kwargs)


class DeadlineSSLSocket(ssl.SSLSocket):
    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(remaining())
        return super().recv_into(*args, **kwargs)


def open_socket(host: str, port: int, *, timeout: float) -> socket.socket:
    """Resolve, check every address, and connect to the first that answers.

    The connection is made to an address that was checked, never to the name, which may resolve to
    another address a moment later.
    """
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    check_resolved(host.strip("[]"), [str(target[0]) for *_, target in found])
    failure: OSError = OSError("no address")
    for family, kind, protocol, _, target in found:
        try:
            return _connect(
                DeadlineSocket(family, kind, protocol), target, min(timeout, remaining())
            )
        except OSError as error:
            failure = error
    raise failure


def _connect(sock: socket.socket, target: Any, timeout: float) -> socket.socket:
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(timeout)
        sock.connect(target)
    except OSError:
        sock.close()
        raise
    return sock


class _CheckedConnection:
    """Mixed into urllib3's connections: same errors, our socket, and a wait before the request."""

    def request(self: Any, *args: Any, **kwargs: Any) -> None:
        if self.is_closed:
            self.connect()
        if wait := getattr(_call, "wait", None):
            _call.ends_at += wait()
        super().request(*args, **kwargs)  # type: ignore[misc]

    def _new_conn(self: Any) -> socket.socket:
        try:
            return open_socket(self._dns_host, self.port, timeout=float(self.timeout))
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(
                self, f"{self.host} did not accept a connection in time"
            ) from error
        except OSError as error:
            raise NewConnectionError(
                self, f"{self.host} did not accept a connection: {error}"
            ) from error


class CheckedHTTPConnection(_CheckedConnection, urllib3.connection.HTTPConnection):
    pass


class CheckedHTTPSConnection(_CheckedConnection, urllib3.connection.HTTPSConnection):
    pass


class CheckedHTTPPool(urllib3.connectionpool.HTTPConnectionPool):
    ConnectionCls = CheckedHTTPConnection


class CheckedHTTPSPool(urllib3.connectionpool.HTTPSConnectionPool):
    ConnectionCls = CheckedHTTPSConnection


@functools.cache
def trusted() -> ssl.SSLContext:
    """Return what every connection of this process is checked by: reading the certificates that the
    machine trusts takes longer than a whole call.
    """
    context = ssl.create_default_context()
    context.sslsocket_class = DeadlineSSLSocket
    return context


class CheckedAdapter(HTTPAdapter):
    """Sends through connections with a deadline and checked addresses, without retries."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=trusted(), **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": CheckedHTTPPool,
            "https": CheckedHTTPSPool,
        }
