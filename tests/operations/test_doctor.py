"""`manage.py doctor` names each thing that is wrong with a shop, and only that."""

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from enrollments.provisioning import LMS_JOBS
from lms_sync.models import DeadLetter
from maaledu.cooldown import Cooldown
from maaledu.diagnosis import Result
from maaledu.version import VERSION
from maaledu.work.queue import drain
from operations import doctor, heartbeats, stripe_endpoints
from operations.doctor import access, machine
from operations.doctor.serving import proxy_stands_in_front, wait_until_ready
from operations.models import Heartbeat
from payments import webhook_secrets
from tests.architecture import ROOT
from tests.factories import completed, deliver, make_pending
from tests.notifications.recorder import recording
from tests.notifications.smtp import MailServer
from tests.processes import Proc, free_port, python
from tests.sandbox_client import Sandbox

pytestmark = [pytest.mark.any_engine, pytest.mark.django_db]
OTHER_SECRET = "whsec_of_tomorrow"


@pytest.fixture
def healthy(sandbox: Sandbox, settings: Settings) -> Iterator[Settings]:
    """A shop with which nothing is wrong: this release answers at its address, and work gets
    done.
    """
    with recording() as web:
        web.body = json.dumps({"version": VERSION}).encode()
        settings.SITE_URL = web.url
        stripe_endpoints.create()
        for name in (heartbeats.WORKER, heartbeats.SCHEDULER, heartbeats.NIGHTLY):
            heartbeats.note(name)
        yield settings


def problems() -> list[tuple[str, str]]:
    return [(part, result.step) for part, result in doctor.examine() if not result.ok]


def run(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", *arguments, stdout=out)
    return int(str(ended.value.code)), out.getvalue()


def test_nothing_is_wrong_with_a_healthy_shop(healthy: Settings) -> None:
    assert problems() == []
    code, text = run("--wait", "5")
    assert code in (0, 1)
    assert "0 wrong" in text
    assert "in time" not in text


# --- one thing wrong at a time --------------------------------------------------------------------
def silent_worker(settings: Settings, sandbox: Sandbox) -> None:
    Heartbeat.objects.filter(name=heartbeats.WORKER).update(
        at=timezone.now() - timedelta(minutes=4)
    )


def lost_redis(settings: Settings, sandbox: Sandbox) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    forgiving = "maaledu.cache.ForgivingRedisCache"
    settings.CACHES = {
        key: {"BACKEND": forgiving, "LOCATION": settings.REDIS_URL} for key in ("default", "pages")
    }


def lost_mail_server(settings: Settings, sandbox: Sandbox) -> None:
    settings.EMAIL_PORT = free_port()


def lost_lms(settings: Settings, sandbox: Sandbox) -> None:
    settings.FRAPPE_LMS_BASE_URL = f"http://127.0.0.1:{free_port()}/lms"


def lost_stripe(settings: Settings, sandbox: Sandbox) -> None:
    settings.STRIPE_API_BASE = f"http://127.0.0.1:{free_port()}/stripe"


def wrong_address(settings: Settings, sandbox: Sandbox) -> None:
    settings.SITE_URL = f"http://127.0.0.1:{free_port()}"
    stripe_endpoints.create()


def unread_setting(settings: Settings, sandbox: Sandbox) -> None:
    settings.TRUSTED_PROXY_COUNT = -1


FAULTS: list[tuple[Callable[[Settings, Sandbox], None], tuple[str, str]]] = [
    (silent_worker, ("work", "the worker is silent")),
    (lost_redis, ("cache", "Redis")),
    (lost_mail_server, ("mail", "login")),
    (lost_lms, ("LMS frappe", "answer")),
    (lost_stripe, ("Stripe", "answer")),
    (wrong_address, ("web", "address")),
    (unread_setting, ("settings", "maaledu.E003")),
]


@pytest.mark.parametrize(("fault", "named"), FAULTS, ids=[f[0].__name__ for f in FAULTS])
def test_each_fault_is_named_and_only_it(
    fault: Callable[[Settings, Sandbox], None],
    named: tuple[str, str],
    healthy: Settings,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Cooldown, "until", 0.0)
    fault(healthy, sandbox)
    assert problems() == [named]
    code, text = run()
    assert code == 2
    assert "1 wrong" in text


def test_a_part_that_breaks_in_an_unforeseen_way_is_a_problem_and_stops_no_other(
    healthy: Settings,
) -> None:
    healthy.DEFAULT_FROM_EMAIL = "shöp@maaledu.example"  # which SMTP cannot write
    found = list(doctor.examine())
    assert [(part, result.step) for part, result in found if not result.ok] == [
        ("mail", "all of it")
    ]
    assert {"Stripe", "LMS frappe"} <= {part for part, _ in found}


@pytest.mark.any_engine
def test_a_setting_that_stops_every_command_is_said_in_a_sentence_and_is_wrong() -> None:
    command = [sys.executable, "manage.py", "doctor"]
    env = {**os.environ, "EMAIL_PORT": "smtp", "DJANGO_SETTINGS_MODULE": "maaledu.settings"}
    ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "Set EMAIL_PORT to a number; “smtp” is none.\n"


def test_a_broker_that_is_away_is_named(healthy: Settings) -> None:
    healthy.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"
    assert problems() == [("broker", "broker")]


@pytest.mark.parametrize(
    ("stage", "answer", "step"),
    [
        ("MAIL", "553 sender not owned by you", "sender"),
        ("RCPT", "550 no such user", "recipient"),
        ("connect", "554 no mail from you", "login"),
    ],
)
def test_what_the_mail_server_refuses_is_said_and_nothing_is_sent(
    stage: str, answer: str, step: str, healthy: Settings
) -> None:
    server = MailServer()
    server.start()
    try:
        healthy.EMAIL_PORT = server.port
        assert problems() == []
        server.answers[stage] = answer
        [(part, found)] = [each for each in doctor.examine() if not each[1].ok]
        assert (part, found.step, server.taken) == ("mail", step, [])
        assert answer[4:] in found.message
    finally:
        server.stop()


def test_another_release_at_the_address_is_named_and_waited_for(healthy: Settings) -> None:
    with recording() as web:
        web.body = json.dumps({"version": "0.0.9"}).encode()
        healthy.SITE_URL = web.url
        stripe_endpoints.create()
        assert problems() == [("web", "release")]
        code, text = run("--wait", "1")
    assert (code, "did not answer as this release in time" in text) == (2, True)


def test_a_worker_that_comes_a_little_later_is_waited_for(
    healthy: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    Heartbeat.objects.filter(name=heartbeats.WORKER).delete()
    assert not wait_until_ready(0.1)
    # Between two looks.
    monkeypatch.setattr(time, "sleep", lambda _: heartbeats.note(heartbeats.WORKER))
    assert wait_until_ready(20)
    assert problems() == []


def test_a_web_process_that_visitors_reach_without_a_proxy_is_named(
    start: Callable[..., Proc], settings: Settings
) -> None:
    """Fault O15: slow senders would hold all of its threads."""
    port = free_port()
    start(python("-m", "gunicorn", "maaledu.wsgi", "--bind", f"127.0.0.1:{port}")).wait_port(port)
    settings.SITE_URL = f"http://127.0.0.1:{port}"
    for settings.PRODUCTION, ok in ((False, True), (True, False)):
        [result] = proxy_stands_in_front()
        assert (result.ok, result.is_note) == (ok, True)
        assert "Put nginx in front" in result.advice
    with recording() as proxy:
        settings.SITE_URL = proxy.url
        [result] = proxy_stands_in_front()
        assert (result.ok, result.is_note, result.advice) == (True, False, "")


def test_a_proxy_that_does_not_say_https_is_named(
    start: Callable[..., Proc], settings: Settings
) -> None:
    """As fault O13: pages led to themselves for ever, and what asks about health was answered."""
    port = free_port()
    command = python("-m", "gunicorn", "maaledu.wsgi", "--bind", f"127.0.0.1:{port}")
    start(command, SECURE_SSL_REDIRECT="true").wait_port(port)
    settings.SITE_URL = f"http://127.0.0.1:{port}"
    [wrong] = [result for result in proxy_stands_in_front() if not result.ok]
    assert (wrong.step, "X-Forwarded-Proto" in wrong.advice) == ("https", True)


# --- who has access -------------------------------------------------------------------------------
@pytest.mark.every_engine
def test_enrollments_are_counted_by_state_and_each_dead_letter_is_named_with_its_remedy(
    healthy: Settings, sandbox: Sandbox
) -> None:
    """Requirement R132."""
    sandbox.lms(courses_any=False, courses=[])
    make_pending()
    sell(3)
    drain(LMS_JOBS, limit=1)
    DeadLetter.objects.update(last_error="No course for ada@example.com.")
    letter = DeadLetter.objects.get()
    counted, by_access, dead = access_said()
    assert (counted.ok, counted.message) == (True, "paid 3, pending 1")
    assert (by_access.ok, by_access.message) == (True, "failed 1, pending 2")
    assert (dead.ok, "No course for a***@example.com." in dead.message) == (False, True)
    assert f"{letter.job.course_id} (frappe)" in dead.message
    assert f"/admin/lms_sync/deadletter/{letter.pk}/change/" in dead.advice


def test_of_many_dead_letters_the_oldest_are_named_and_the_rest_counted(
    healthy: Settings, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.lms(courses_any=False, courses=[])
    monkeypatch.setattr(access, "MOST_NAMED", 2)
    sell(3)
    drain(LMS_JOBS)
    named = [result for result in access_said() if not result.ok]
    assert len(named) == 3
    assert named[-1].message == "1 more dead letter waits in the office."


def sell(number: int) -> None:
    for _ in range(number):
        assert deliver(Client(), completed(make_pending()[1])).status_code == 200


def access_said() -> list[Result]:
    return [result for part, result in doctor.examine() if part == "access"]


# --- files and keys -------------------------------------------------------------------------------
def test_files_that_others_can_read_are_named_with_the_remedy(
    tmp_path: Path, settings: Settings
) -> None:
    settings.PRODUCTION, settings.BASE_DIR, settings.BACKUP_DIR = True, tmp_path, str(tmp_path)
    (tmp_path / ".env").touch(0o640)
    tmp_path.chmod(0o700)
    found = {result.step: result for result in machine.files_are_private()}
    assert not found[".env"].ok
    assert found[".env"].advice == f"chmod 600 {tmp_path / '.env'}"
    assert found[tmp_path.name].ok
    (tmp_path / ".env").chmod(stat.S_IRUSR | stat.S_IWUSR)
    assert next(machine.files_are_private()).ok


def test_a_signing_secret_is_named_once_only_the_other_one_is_used(healthy: Settings) -> None:
    cache.clear()
    [old] = healthy.STRIPE_WEBHOOK_SECRETS
    healthy.STRIPE_WEBHOOK_SECRETS = [OTHER_SECRET, old]
    assert deliver(Client(), completed(make_pending()[1])).status_code == 200
    used, idle = secrets_said()
    assert (used.message.startswith("last used "), used.advice) == (True, "")
    assert idle.message == "not used within a week"
    assert idle.advice.startswith("Take it out")
    webhook_secrets.note_use([old])  # while Stripe rolls them, it signs with both
    assert [said.advice for said in secrets_said()] == ["", ""]
    assert problems() == []


def secrets_said() -> list[Result]:
    return [result for part, result in doctor.examine() if part == "webhook secrets"]
