"""What answers in the place of a server behind it: proxies, firewalls, log-in pages, gateways.

The pages are written for the sandbox, each with what marks its kind: the server's name, the title,
the form of the page.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus

from sandbox.wire import Header, Response, html_response

WITHOUT_BODY = frozenset({204, 205, 304})
CHALLENGE = (
    "<!DOCTYPE html><html lang=en><head><title>One moment…</title><meta name=robots"
    " content=noindex></head><body><h1>We check that you are human</h1><noscript>Switch JavaScript"
    " on.</noscript><form id=challenge method=post><input type=hidden name=r"
    " value=8f2c></form></body></html>"
)
REJECTED = (
    "<html><head><title>Request rejected</title></head><body>The URL that was asked for was"
    " rejected.<br>Your support ID is 4711<br><a href='javascript:history.back();'>Back</a></body>"
    "</html>"
)
LOGIN = (
    "<!doctype html><html><head><title>Sign in</title></head><body><form method=post><label>User"
    "<input name=user></label><input type=password name=password></form></body></html>"
)
SUSPENDED = (
    "<html><head><title>Account suspended</title></head><body><h2>This site is"
    " suspended</h2><p>Contact your hosting provider.</p></body></html>"
)


def phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def nginx(status: int) -> Response:
    title = f"{status} {phrase(status)}"
    return _page(
        status,
        "nginx",
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}"
        "</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n",
    )


def apache(status: int) -> Response:
    title = f"{status} {phrase(status)}"
    return _page(
        status,
        "Apache/2.4",
        f"<!DOCTYPE HTML>\n<html><head>\n<title>{title}</title>\n</head><body>\n<h1>"
        f"{phrase(status)}</h1>\n<p>The proxy cannot do what was asked for.</p>\n<hr>\n<address>"
        "Apache Server at lms.example Port 443</address>\n</body></html>\n",
    )


def haproxy(status: int) -> Response:
    title = f"{status} {phrase(status)}"
    html = f"<html><body><h1>{title}</h1>\nNo server can take it.\n</body></html>"
    return _page(status, "", html)


def varnish(status: int) -> Response:
    title = f"{status} {phrase(status)}"
    return _page(
        status,
        "Varnish",
        f'<?xml version="1.0" encoding="utf-8"?>\n<html><head><title>{title}</title></head><body>'
        f"<h1>Error {title}</h1><h3>Thinking:</h3><p>XID: 32770</p></body></html>",
    )


def challenge(status: int) -> Response:
    return _page(status, "edge", CHALLENGE)


def firewall(status: int) -> Response:
    return _page(status, "", REJECTED)


def log_in(status: int) -> Response:
    response = _page(status, "nginx", LOGIN)
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers = [*response.headers, ("WWW-Authenticate", 'Basic realm="staging"')]
    return response


def hosting(status: int) -> Response:
    return _page(status, "LiteSpeed", SUSPENDED)


def gateway(status: int) -> Response:
    """An API gateway, which speaks JSON of its own."""
    return Response(status, json.dumps({"message": phrase(status), "status": status}).encode())


def cloud(status: int) -> Response:
    """A gateway of a cloud, whose whole answer is what the status is called."""
    return Response(status, json.dumps({"message": phrase(status)}).encode())


def problem(status: int) -> Response:
    """One that speaks the JSON of problem details."""
    details = {"type": "about:blank", "title": phrase(status), "status": status, "detail": "no"}
    return Response(status, json.dumps(details).encode(), "application/problem+json")


def service(status: int) -> Response:
    """One that says which path failed, in the words of a Java service."""
    said = {"status": status, "error": phrase(status), "path": "/api"}
    return Response(status, json.dumps(said).encode())


def plain(status: int) -> Response:
    return Response(status, f"{status} {phrase(status)}\n".encode(), "text/plain; charset=utf-8")


def empty(status: int) -> Response:
    return Response(status, b"", "text/html")


PAGES: dict[str, Callable[[int], Response]] = {
    maker.__name__: maker
    for maker in (
        nginx,
        apache,
        haproxy,
        varnish,
        challenge,
        firewall,
        log_in,
        hosting,
        gateway,
        cloud,
        problem,
        service,
        plain,
        empty,
    )
}


def answer(name: str, status: int) -> Response:
    """Return what this kind of proxy answers with at this status."""
    response = PAGES[name](status)
    if status in WITHOUT_BODY:
        response.body = b""
    if 300 <= status < 400:
        response.headers = [*response.headers, ("Location", "https://elsewhere.example/login")]
    return response


def _page(status: int, server: str, html: str) -> Response:
    headers: list[Header] = [("Server", server)] if server else []
    return html_response(html, status, headers)
