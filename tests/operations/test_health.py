from datetime import timedelta

import pytest
import requests
from django.test import Client
from django.utils import timezone

from lms_sync.models import PlatformState
from tests.processes import free_port, python

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


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/api/health/frappe"])
def test_health_is_read_only(client, db, path):
    assert client.post(path).status_code == 405
