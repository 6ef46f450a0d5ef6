"""A broker that speaks TLS is connected to only with a certificate that can be trusted (fault O11),
and dead workers do not fill it (O9).
"""

import datetime as dt
import ipaddress
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.maaledu.test_checks import run
from tests.processes import python
from tests.redis_server import redis_server

pytestmark = [pytest.mark.no_database, pytest.mark.slow]

CONNECT = """
from maaledu.celery import app
with app.connection_for_write() as connection:
    connection.ensure_connection(max_retries=1, timeout=2)
    print("connected")
"""


def write_certificate(directory: Path) -> None:
    """Write a certificate for 127.0.0.1 that nobody but itself has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (directory / "cert.pem").write_bytes(certificate.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    (directory / "key.pem").write_bytes(private)


@pytest.fixture
def tls_broker(tmp_path: Path) -> Iterator[str]:
    write_certificate(tmp_path)
    keys = ["--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem", "--tls-auth-clients", "no"]
    with redis_server(tmp_path, "--port", "0", *keys, port_option="--tls-port") as port:
        yield f"rediss://127.0.0.1:{port}/0"


def connect(url: str) -> subprocess.CompletedProcess:
    return run(python("-W", "ignore", "-c", CONNECT), CELERY_BROKER_URL=url)


def test_an_untrusted_certificate_is_refused_and_a_named_one_is_taken(
    tls_broker: str, tmp_path: Path
) -> None:
    assert "CERTIFICATE_VERIFY_FAILED" in connect(tls_broker).stderr
    assert connect(f"{tls_broker}?ssl_ca_certs={tmp_path / 'cert.pem'}").stdout == "connected\n"


SEND = """
import redis, sys
from django.conf import settings
from maaledu.celery import app
LONGEST_QUEUE = settings.BROKER_LONGEST_QUEUE
broker = redis.Redis.from_url(app.conf.broker_url)
for number in range(LONGEST_QUEUE + 50):
    app.send_task("operations.drain", args=["lms"], expires=10, ignore_result=True)
print(broker.llen("work") == LONGEST_QUEUE)
broker.lpop("work")
print(app.send_task("operations.drain", args=["lms"], expires=10) is not None)
print(broker.llen("work") == LONGEST_QUEUE)
"""


def test_a_queue_that_nobody_empties_stays_short_and_goes_on_when_somebody_does(
    tmp_path: Path,
) -> None:
    with redis_server(tmp_path) as port:
        url = f"redis://127.0.0.1:{port}/0"
        sent = run(python("-W", "ignore", "-c", SEND), CELERY_BROKER_URL=url)
    assert sent.stdout.split() == ["True"] * 3, sent.stderr
    lost = run(python("-W", "ignore", "-c", SEND), CELERY_BROKER_URL=url)
    assert "OperationalError" in lost.stderr


SCHEDULE = """
from celery.schedules import crontab
from django.conf import settings
from maaledu.celery import app
nightly = app.conf.beat_schedule["nightly"]
print(nightly["task"], nightly["schedule"] == crontab(**settings.NIGHTLY_AT))
"""


def test_where_there_is_a_broker_beat_has_the_nightly_steps() -> None:
    found = run(python("-W", "ignore", "-c", SCHEDULE), CELERY_BROKER_URL="redis://127.0.0.1:9/0")
    assert found.stdout == "operations.nightly True\n", found.stderr
