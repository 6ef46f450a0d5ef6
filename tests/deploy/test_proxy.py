"""deploy/nginx/maaledu.conf in a real nginx, in front of a server that says what it was asked."""

import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from tests.engines import ROOT
from tests.processes import Proc, free_port

pytestmark = pytest.mark.no_database

HOST = "shop.example.com"
HASHED = "css/maaledu.0123456789ab.css"
NGINX = "/usr/sbin/nginx"


class Echo(BaseHTTPRequestHandler):
    """Answers with the headers of each request, as the web process behind nginx sees them."""

    def do_GET(self) -> None:
        body = json.dumps({"path": self.path, **dict(self.headers)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        # Unread, it would make the connection end in a reset, and the proxy answer 502.
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def web() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class Proxy:
    def __init__(self, directory: Path, web_port: int) -> None:
        self.directory, self.http, self.https = directory, free_port(), free_port()
        self.certificate = directory / "fullchain.pem"
        self._make_certificate()
        self._make_static()
        self.log = directory / "nginx.log"
        self.command = [NGINX, "-c", str(self._configuration(web_port)), "-g", "daemon off;"]

    def _make_certificate(self) -> None:
        subprocess.run(
            [
                *(
                    "openssl",
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                ),
                *(
                    "-nodes",
                    "-days",
                    "2",
                    "-subj",
                    f"/CN={HOST}",
                    "-addext",
                    f"subjectAltName=DNS:{HOST}",
                ),
                *("-keyout", self.directory / "privkey.pem", "-out", self.certificate),
            ],
            check=True,
            capture_output=True,
        )

    def _make_static(self) -> None:
        for name in (HASHED, "css/maaledu.css"):
            path = self.directory / "static" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("body { color: black }")

    def _configuration(self, web_port: int) -> Path:
        """Return the site as the guide installs it, on other ports and in another folder."""
        site = (ROOT / "deploy/nginx/maaledu.conf").read_text()
        for old, new in {
            "learn.example.com": HOST,
            f"/etc/letsencrypt/live/{HOST}": str(self.directory),
            "/var/www/maaledu/static": f"{self.directory}/static",
            "/var/log/maaledu": str(self.directory),
            "127.0.0.1:8000": f"127.0.0.1:{web_port}",
            "listen 80;": f"listen 127.0.0.1:{self.http};",
            "listen 443 ssl http2;": f"listen 127.0.0.1:{self.https} ssl http2;",
            "    listen [::]:80;\n": "",
            "    listen [::]:443 ssl http2;\n": "",
        }.items():
            assert old in site, old
            site = site.replace(old, new)
        path = self.directory / "nginx.conf"
        path.write_text(
            f"user root; pid {self.directory}/pid; error_log {self.log}; worker_processes 1;"
            " events {}\nhttp { include /etc/nginx/mime.types;\n" + site + "}\n"
        )
        return path

    def ask(
        self, method: str, path: str, *, data: bytes = b"", **headers: str
    ) -> requests.Response:
        """Ask it for the shop's host, whose certificate is checked."""
        session = requests.Session()
        session.mount("https://", HostAdapter())
        return session.request(
            method,
            f"https://127.0.0.1:{self.https}{path}",
            data=data,
            headers={"Host": HOST, **{name.replace("_", "-"): headers[name] for name in headers}},
            verify=str(self.certificate),
            timeout=10,
            allow_redirects=False,
        )


class HostAdapter(requests.adapters.HTTPAdapter):
    """Speaks TLS as with the shop's host, wherever it is connected to."""

    def init_poolmanager(self, *args: object, **options: object) -> None:
        super().init_poolmanager(*args, server_hostname=HOST, assert_hostname=HOST, **options)


@pytest.fixture(scope="module")
def proxy(web: ThreadingHTTPServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    proxy = Proxy(tmp_path_factory.mktemp("proxy"), web.server_address[1])
    process = Proc(proxy.command, env={}, log=proxy.log)
    process.wait_port(proxy.https)
    yield proxy
    process.stop()


def test_the_web_process_learns_who_asks_by_which_way(proxy: Proxy) -> None:
    seen = proxy.ask("GET", "/courses/?q=a").json()
    assert seen["path"] == "/courses/?q=a"
    assert seen["Host"] == HOST
    assert (seen["X-Forwarded-Proto"], seen["X-Forwarded-For"]) == ("https", "127.0.0.1")
    assert len(seen["X-Request-ID"]) == 32


def test_an_address_that_a_visitor_makes_up_comes_first_and_ours_last(proxy: Proxy) -> None:
    """TRUSTED_PROXY_COUNT=1 counts from the end."""
    seen = proxy.ask("GET", "/", X_Forwarded_For="8.8.8.8", X_Forwarded_Proto="http").json()
    assert seen["X-Forwarded-For"] == "8.8.8.8, 127.0.0.1"
    assert seen["X-Forwarded-Proto"] == "https"


def test_plain_http_is_led_to_https(proxy: Proxy) -> None:
    answer = requests.get(
        f"http://127.0.0.1:{proxy.http}/courses/?q=a", headers={"Host": HOST}, allow_redirects=False
    )
    assert answer.status_code == 301
    assert answer.headers["Location"] == f"https://{HOST}/courses/?q=a"


def test_static_files_are_served_from_the_disk_and_named_ones_for_ever(proxy: Proxy) -> None:
    for name, kept in (
        (HASHED, "public, max-age=31536000, immutable"),
        ("css/maaledu.css", "public, max-age=60"),
    ):
        answer = proxy.ask("GET", f"/static/{name}")
        assert answer.text == "body { color: black }"
        assert answer.headers["Cache-Control"] == kept
        assert answer.headers["Content-Type"] == "text/css"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert proxy.ask("GET", "/static/css/none.css").status_code == 404
    # Not the folder above: it goes to the web process, as any other address.
    assert proxy.ask("GET", "/static../nginx.conf").json()["path"] == "/static../nginx.conf"


def test_a_body_that_is_too_large_does_not_get_through(proxy: Proxy) -> None:
    assert proxy.ask("POST", "/api/webhook", data=b"a" * 300_000).status_code == 200
    assert proxy.ask("POST", "/api/webhook", data=b"a" * 310_000).status_code == 413


def test_slow_senders_take_no_thread_of_ours(proxy: Proxy, web: ThreadingHTTPServer) -> None:
    """Fault O15: 50 of them send a byte now and then; a visitor is answered at once."""
    context = ssl.create_default_context(cafile=str(proxy.certificate))
    before = threading.active_count()
    slow = []
    try:
        for _ in range(50):
            plain = socket.create_connection(("127.0.0.1", proxy.https), timeout=10)
            slow.append(context.wrap_socket(plain, server_hostname=HOST))
            slow[-1].sendall(
                f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 100\r\n\r\na".encode()
            )
        started = time.monotonic()
        assert proxy.ask("GET", "/").status_code == 200
        assert time.monotonic() - started < 5
        assert threading.active_count() <= before + 1
    finally:
        for each in slow:
            each.close()
