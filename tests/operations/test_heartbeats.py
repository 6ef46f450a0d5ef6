"""Each part of the work leaves its heartbeat by itself, as a real process."""

import pytest
import requests
from django.core.management import call_command

from notifications.models import Email
from operations.models import Heartbeat
from tests.processes import free_port, python
from tests.sandbox_client import Sandbox, wait_until

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.engines("sqlite", "postgres")]


def seen(*names: str) -> bool:
    return Heartbeat.objects.filter(name__in=names).count() == len(names)


def test_the_embedded_worker_is_worker_and_scheduler(start, sandbox: Sandbox) -> None:
    start(python("manage.py", "run_due_work", "--forever"))
    wait_until(lambda: seen("worker", "scheduler"), 20)


@pytest.mark.engines("sqlite")  # Celery and its broker: no database answers differently
def test_beat_says_that_it_goes_on_though_no_worker_does(start, tmp_path) -> None:
    start(
        python("-m", "celery", "-A", "maaledu", "beat", "--schedule", str(tmp_path / "beat")),
        CELERY_BROKER_URL="memory://",
    )
    wait_until(lambda: seen("scheduler"), 20)
    assert not seen("worker")


@pytest.mark.engines("sqlite")  # Celery and its broker: no database answers differently
def test_beat_without_a_broker_says_nothing(start, tmp_path) -> None:
    beat = start(
        python("-m", "celery", "-A", "maaledu", "beat", "--schedule", str(tmp_path / "beat")),
        CELERY_BROKER_URL=f"redis://127.0.0.1:{free_port()}/0",
    )
    beat.wait_line("Connection refused", 20)
    assert not seen("scheduler")


def test_the_command_of_cron_is_worker_and_scheduler_and_looks(db) -> None:
    call_command("run_due_work", verbosity=0)
    assert seen("worker", "scheduler", "watch", "stripe")


def test_a_web_process_alerts_of_a_silent_worker_by_itself(start, process_env) -> None:
    """Nothing else runs: requests are what makes it look, and none of them waits for that."""
    port = free_port()
    start(
        python("-m", "gunicorn", "maaledu.wsgi", "--bind", f"127.0.0.1:{port}"),
        DJANGO_SETTINGS_MODULE="tests.settings_watchful",
    ).wait_port(port)
    silent = ("the worker is silent", "the scheduler is silent")
    wait_until(lambda: asked(port) and all(map(alerted, silent)), 30)
    assert not seen("watch")  # which would make it wait before its next look
    assert Email.objects.filter(kind="staff_alert").count() == 2  # each once


def asked(port: int) -> bool:
    return requests.get(f"http://127.0.0.1:{port}/health/live", timeout=5).ok


def alerted(title: str) -> bool:
    alerts = Email.objects.filter(kind="staff_alert").values_list("context", flat=True)
    return f"Now red: {title}" in [context["subject"] for context in alerts]
