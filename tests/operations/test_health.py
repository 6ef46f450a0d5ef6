from contextlib import contextmanager
from datetime import timedelta

import pytest
import requests
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from lms_sync.models import PlatformState
from maaledu.version import VERSION
from operations import heartbeats, readiness
from operations.models import Heartbeat
from payments.models import StripeEvent
from tests.processes import free_port, python

pytestmark = pytest.mark.any_engine

DETAILS = {"baseUrl", "state", "latencyMs", "lastOkAt", "lastError", "downSince", "retryAt"}


@pytest.fixture
def outage(db) -> PlatformState:
    now = timezone.now()
    return PlatformState.objects.create(
        name="frappe",
        state=PlatformState.State.OPEN,
        opened_at=now,
        retry_at=now + timedelta(minutes=1),
        last_error="HTTP 502 from nginx",
    )


def staff(django_user_model) -> Client:
    client = Client()
    client.force_login(
        django_user_model.objects.create_superuser("staff@example.com", "long enough 1")
    )
    return client


def test_a_living_process_says_so_without_asking_anybody(client, django_assert_num_queries, db):
    with django_assert_num_queries(0):
        answer = client.get("/health/live")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.slow
@pytest.mark.any_engine  # they have files of SQLite, whatever this run is on
def test_a_process_is_ready_once_its_database_has_every_migration(start, tmp_path):
    """Two real servers: one on an empty database file, one on a directory that is none."""
    port, lost_port = free_port(), free_port()
    url = f"sqlite:///{tmp_path / 'fresh.sqlite3'}"
    start(server(port), DATABASE_URL=url).wait_port(port)
    assert status(port) == 503
    assert (
        start(python("manage.py", "migrate", "--verbosity", "0"), DATABASE_URL=url).wait_end(120)
        == 0
    )
    assert status(port) == 200
    start(server(lost_port), DATABASE_URL=f"sqlite:///{tmp_path}").wait_port(lost_port)
    assert status(lost_port) == 503


def server(port: int) -> list[str]:
    return python("-m", "gunicorn", "maaledu.wsgi", "--bind", f"127.0.0.1:{port}", "--threads", "2")


def status(port: int) -> int:
    return requests.get(f"http://127.0.0.1:{port}/health/ready", timeout=20).status_code


@pytest.mark.every_engine
def test_the_learning_platform_is_healthy_until_known_otherwise(client, db):
    answer = client.get("/api/health/frappe")
    assert (answer.status_code, answer.json()["status"], set(answer.json())) == (
        200,
        "healthy",
        {"status", "timestamp"},
    )


def test_an_outage_is_shown_to_everybody_but_not_its_details(client, outage):
    answer = client.get("/api/health/frappe")
    assert (answer.status_code, answer.json()["status"], set(answer.json())) == (
        503,
        "down",
        {"status", "timestamp"},
    )
    assert b"nginx" not in answer.content


def test_a_learner_sees_no_more_than_anybody(outage, django_user_model):
    learner = Client()
    learner.force_login(
        django_user_model.objects.create_user("learner@example.com", "long enough 1")
    )
    assert set(learner.get("/api/health/frappe").json()) == {"status", "timestamp"}


def test_staff_see_the_details_but_never_the_key(outage, django_user_model, settings):
    body = staff(django_user_model).get("/api/health/frappe").json()
    assert set(body) == {"status", "timestamp"} | DETAILS
    assert (body["baseUrl"], body["state"], body["lastError"]) == (
        settings.FRAPPE_LMS_BASE_URL,
        "open",
        "HTTP 502 from nginx",
    )
    assert settings.FRAPPE_LMS_API_KEY not in str(body)


def test_asking_too_often_is_refused_with_the_limits_headers(client, db):
    answers = [client.get("/api/health/frappe") for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert answers[0]["X-RateLimit-Remaining"] == "9"
    assert int(answers[-1]["Retry-After"]) <= 60


@pytest.mark.parametrize(
    "path", ["/health/live", "/health/ready", "/health/work", "/api/health/frappe"]
)
def test_health_is_read_only(client, db, path):
    assert client.post(path).status_code == 405


def test_each_platform_has_a_health_of_its_own(client, outage, django_user_model, settings):
    settings.OPENEDX_BASE_URL = "https://edx.example"
    assert client.get("/api/health/openedx").json()["status"] == "healthy"
    PlatformState.objects.create(name="openedx", state="parked")
    assert client.get("/api/health/openedx").status_code == 503
    body = staff(django_user_model).get("/api/health/openedx").json()
    assert (body["baseUrl"], body["state"]) == ("https://edx.example", "parked")


# --- can this process serve -----------------------------------------------------------------------
TOKEN = "a-token-for-monitors-only"


@pytest.fixture
def monitor(settings, db) -> Client:
    settings.MONITOR_TOKEN = TOKEN
    readiness._good_until.clear()
    # The tests' tables are made without migrations, which the test of real servers asks for.
    readiness._migrated.add(connection.alias)
    return Client(headers={"Authorization": f"Bearer {TOKEN}"})


def test_a_ready_process_has_written_and_says_its_version(monitor):
    answer = monitor.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert answer.json()["version"] == VERSION
    assert (answer.json()["problems"], answer.json()["cache"]) == ({}, "ok")
    assert Heartbeat.objects.filter(name="ready").exists()


@pytest.mark.engines("sqlite", "postgres")
def test_a_database_that_takes_no_write_is_not_ready(monitor):
    with read_only():
        answer = monitor.get("/health/ready")
    assert answer.status_code == 503
    assert set(answer.json()["problems"]) == {"database"}
    assert monitor.get("/health/ready").status_code == 200


@contextmanager
def read_only():
    postgres = connection.vendor == "postgresql"
    name, on, off = (
        ("default_transaction_read_only", "on", "off") if postgres else ("query_only", "1", "0")
    )
    command = f"SET {name} = %s" if postgres else f"PRAGMA {name} = %s"
    with connection.cursor() as cursor:
        cursor.execute(command % on)
    yield
    if postgres:  # the refusal gave the connection back to the pool, where it would stay so
        connection.close()
        connection.close_pool()
        return
    with connection.cursor() as cursor:
        cursor.execute(command % off)


def test_of_what_is_wrong_the_public_learns_nothing_but_that(client, monitor, settings):
    settings.CACHES = {**settings.CACHES, "default": redis_at("127.0.0.1:6379/0")}
    answer = client.get("/health/ready")
    assert (answer.status_code, set(answer.json())) == (503, {"status", "timestamp", "version"})
    assert set(monitor.get("/health/ready").json()["problems"]) == {"cache"}


def test_a_redis_that_is_lost_is_told_and_is_no_reason_not_to_serve(monitor, settings):
    settings.CACHES = {**settings.CACHES, "default": redis_at("redis://127.0.0.1:1/0")}
    answer = monitor.get("/health/ready")
    assert (answer.status_code, answer.json()["cache"]) == (200, "lost")


def redis_at(location: str) -> dict[str, str]:
    return {"BACKEND": "maaledu.cache.ForgivingRedisCache", "LOCATION": location}


@pytest.mark.parametrize("damage", ["never collected", "a new file", "a lost file"])
def test_static_files_that_are_not_collected_are_told(monitor, settings, tmp_path, damage):
    settings.STATIC_ROOT = tmp_path / "collected"
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "maaledu.static_files.ReleasesStorage"},
    }
    if damage != "never collected":
        call_command("collectstatic", "--noinput", verbosity=0)
        assert monitor.get("/health/ready").status_code == 200
    if damage == "a new file":
        (tmp_path / "more").mkdir()
        (tmp_path / "more" / "new.css").write_text("")
        settings.STATICFILES_DIRS = [*settings.STATICFILES_DIRS, tmp_path / "more"]
    for path in (tmp_path / "collected").glob("css/maaledu.*"):
        if damage == "a lost file":
            path.unlink()
    answer = monitor.get("/health/ready")
    assert answer.status_code == 503
    assert "collectstatic" in answer.json()["problems"]["static"]


# --- does work get done ---------------------------------------------------------------------------
def alive() -> None:
    for name in ("worker", "scheduler", "nightly"):
        heartbeats.note(name)


def test_work_is_unwell_while_no_worker_is_seen(client, db):
    alive()
    assert client.get("/health/work").status_code == 200
    Heartbeat.objects.filter(name="worker").update(at=timezone.now() - timedelta(minutes=4))
    answer = client.get("/health/work")
    assert (answer.status_code, answer.json()["status"], set(answer.json())) == (
        503,
        "stopped",
        {"status", "timestamp"},
    )


def test_what_waits_for_staff_is_red_and_work_goes_on(monitor):
    alive()
    StripeEvent.objects.create(
        event_id="evt_1", type="x", livemode=False, payload={}, status="dead"
    )
    answer = monitor.get("/health/work")
    assert (answer.status_code, answer.json()["level"]) == (200, "red")
    assert [reason["cause"] for reason in answer.json()["reasons"]] == ["dead"]
    StripeEvent.objects.all().delete()


def test_details_of_work_are_for_staff_and_monitors(client, monitor, django_user_model):
    alive()
    body = staff(django_user_model).get("/health/work").json()
    assert body == {**monitor.get("/health/work").json(), "timestamp": body["timestamp"]}
    assert (body["level"], body["reasons"], set(body["due"])) == (
        "green",
        [],
        {"stripe", "batches", "lms", "emails", "alerts"},
    )
    assert {"worker", "scheduler", "nightly"} <= set(body["heartbeats"])
    assert set(client.get("/health/work").json()) == {"status", "timestamp"}


@pytest.mark.parametrize(
    ("networks", "sees"),
    [([], False), (["10.0.0.0/8"], False), (["127.0.0.0/8"], True), (["127.0.0.1"], True)],
)
def test_a_network_of_ours_is_a_monitor(client, settings, db, networks, sees):
    settings.MONITOR_NETWORKS = networks
    assert ("level" in client.get("/health/work").json()) is sees


@pytest.mark.parametrize("sent", ["", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN])
def test_a_wrong_token_shows_no_details(settings, db, sent):
    settings.MONITOR_TOKEN = TOKEN
    body = Client(headers={"Authorization": sent}).get("/health/work").json()
    assert set(body) == {"status", "timestamp"}


def test_without_a_token_in_the_settings_none_is_right(db):
    body = Client(headers={"Authorization": "Bearer "}).get("/health/work").json()
    assert set(body) == {"status", "timestamp"}
