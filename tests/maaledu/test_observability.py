"""Sentry and OpenTelemetry by their real SDKs, on a recording server; off, neither is loaded."""

import gzip
import json
import os
import subprocess
from typing import Any

import pytest

from tests.engines import ROOT
from tests.notifications.recorder import Recorder, recording
from tests.processes import python

pytestmark = [pytest.mark.no_database, pytest.mark.slow]
PRIVATE = ("ada@example.com", "ada%40example.com", "Lovelace", "t0ken-of-ada", "hunter2", "b0dy")
SETUP = "import django, logging; django.setup();"
REQUEST = """
from django.test import RequestFactory
from maaledu.wsgi import application
body = {"email": "ada@example.com", "name": "Ada Lovelace", "note": "b0dy"}
for path in ("/enrollments/t0ken-of-ada/?email=ada@example.com", "/api/checkout", "/t0ken-of-ada"):
    cookie = {"HTTP_COOKIE": "sessionid=t0ken-of-ada", "HTTP_HOST": "127.0.0.1"}
    list(application(RequestFactory().post(path, body, **cookie).environ, lambda *_: None))
"""
ERROR = """
def fail(name):
    password = "hunter2"
    raise ValueError(f"ada@example.com {name} t0ken-of-ada")
try:
    fail("Ada Lovelace")
except ValueError:
    logging.getLogger("payments").exception("it failed for %s", "Ada Lovelace", extra={"b": "b0dy"})
"""
CALL = """
import requests
requests.post(URL + "/api/resource/User", timeout=5)
"""


def run(command: list[str], **environment: str) -> subprocess.CompletedProcess:
    given = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "maaledu.settings",
        "DATABASE_URL": "sqlite:///:memory:",
        **environment,
    }
    return subprocess.run(
        command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=90, check=True
    )


def items(recorder: Recorder) -> list[dict[str, Any]]:
    """Return what Sentry's envelopes hold, by their second line and each one after that."""
    found = []
    for path, headers, body in recorder.requests:
        assert path == "/api/1/envelope/"
        text = gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body
        lines = [json.loads(line) for line in text.splitlines()[1:] if line]
        found += [item for head, item in zip(lines[::2], lines[1::2], strict=False) if head]
    return found


def test_sentry_gets_type_and_place_of_an_error_and_nobodys_data() -> None:
    """Requirement R010."""
    flush = "import sentry_sdk; sentry_sdk.flush(10)"
    with recording() as recorder:
        dsn = f"http://key@127.0.0.1:{recorder.server_port}/1"
        code = f"{SETUP}{REQUEST}{ERROR}{flush}"
        run(python("-W", "ignore", "-c", code), SENTRY_DSN=dsn, SENTRY_TRACES_SHARE="1.0")
        sent = items(recorder)
        raw = json.dumps(sent)
    errors = [each for each in sent if each.get("exception")]
    raised = [each["exception"]["values"][0] for each in errors]
    [ours] = [each for each in raised if each["type"] == "ValueError"]
    assert ours["stacktrace"]["frames"][-1]["function"] == "fail"
    assert "it failed for %s" in raw
    traces = [each for each in sent if each.get("type") == "transaction"]
    assert "/api/checkout" in {each.get("transaction") for each in traces}
    assert [word for word in PRIVATE if word in raw] == []


def test_sentry_gets_the_share_that_is_asked_for() -> None:
    flush = "import sentry_sdk; sentry_sdk.flush(10)"
    with recording() as recorder:
        dsn = f"http://key@127.0.0.1:{recorder.server_port}/1"
        code = f"{SETUP}{REQUEST}{ERROR}{flush}"
        run(python("-W", "ignore", "-c", code), SENTRY_DSN=dsn, SENTRY_ERRORS_SHARE="0")
        assert not [each for each in items(recorder) if "exception" in each]


def test_open_telemetry_traces_requests_and_calls_by_its_own_integrations() -> None:
    """Requirement R193."""
    with recording() as recorder:
        recorder.body = b""
        call = CALL.replace("URL", repr(recorder.url))
        command = [
            str(ROOT / ".venv/bin/opentelemetry-instrument"),
            *python("-c", f"{SETUP}{REQUEST}{call}"),
        ]
        run(
            command,
            OTEL_SERVICE_NAME="maaledu-web",
            OTEL_EXPORTER_OTLP_ENDPOINT=recorder.url,
            OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
            OTEL_METRICS_EXPORTER="none",
            OTEL_LOGS_EXPORTER="none",
        )
        traces = b"".join(
            gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body
            for path, headers, body in recorder.requests
            if path == "/v1/traces"
        )
    assert b"maaledu-web" in traces
    assert b"opentelemetry.instrumentation.django" in traces
    assert b"opentelemetry.instrumentation.requests" in traces
    assert b"b0dy" not in traces


def test_a_sentry_that_is_not_installed_stops_the_start_with_what_to_do() -> None:
    code = "import sys; sys.modules['sentry_sdk'] = None; import maaledu.settings"
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run(python("-c", code), SENTRY_DSN="https://key@sentry.example/1")
    assert (
        "Install requirements-observability.txt, or leave SENTRY_DSN empty." in failed.value.stderr
    )


def test_off_neither_is_imported() -> None:
    code = f"{SETUP} import sys; print({{'sentry_sdk', 'opentelemetry'}} & set(sys.modules))"
    assert run(python("-W", "ignore", "-c", code)).stdout.strip() == "set()"
