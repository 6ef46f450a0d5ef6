"""The tests' own tools do what the other tests rely on."""

import signal
import sys
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from tests.cleaning import empty_database
from tests.conftest import serves_the_next_test
from tests.dbapp.models import Account, Note
from tests.holding import Question
from tests.processes import free_port

pytestmark = pytest.mark.any_engine

WRITE_A_NOTE = """
import django
django.setup()
from tests.dbapp.models import Note
Note.objects.create(text="from a process")
print("written", flush=True)
"""
SERVE = (
    "import sys, http.server as h; h.HTTPServer(('127.0.0.1', int(sys.argv[1])),"
    " h.BaseHTTPRequestHandler).serve_forever()"
)


@pytest.mark.parametrize("_twice", [1, 2])
@pytest.mark.django_db
def test_a_test_starts_with_an_empty_database_and_cache(_twice):
    assert Note.objects.count() == 0
    assert cache.get("left-over") is None
    Note.objects.create(text="left over")
    cache.set("left-over", 1)


@pytest.mark.parametrize("_twice", [1, 2])
def test_the_db_fixture_and_the_mark_mean_the_same(_twice, transactional_db):
    assert Note.objects.count() == 0
    Note.objects.create(text="left over")


@pytest.mark.every_engine
@pytest.mark.django_db
def test_what_django_made_at_the_start_stays(django_user_model):
    from django.contrib.auth.models import Permission

    before = Permission.objects.count()
    empty_database()
    assert Permission.objects.count() == before > 0


@pytest.mark.engines("sqlite")
def test_a_connection_in_the_middle_of_something_serves_no_other_test(db):
    Note.objects.create(text="first")
    assert serves_the_next_test()
    with transaction.atomic():
        assert not serves_the_next_test()
    with pytest.raises(DatabaseError), connection.cursor() as cursor:
        cursor.execute("SELECT nothing FROM nowhere")
    assert not serves_the_next_test()


@pytest.mark.engines("sqlite", "postgres")
def test_a_moment_that_a_check_asks_about_moves_on_with_the_clock(db):
    asked_at = timezone.now() - timedelta(hours=1)
    moment = asked_at - timedelta(days=1)
    param = str(moment.replace(tzinfo=None)) if connection.vendor == "sqlite" else moment
    ((answer,),) = Question("SELECT %s", (param,), asked_at).answer()
    moved = datetime.fromisoformat(str(answer))
    late = (
        timezone.now() - timedelta(days=1) - (moved if moved.tzinfo else moved.replace(tzinfo=UTC))
    )
    assert timedelta(0) <= late < timedelta(seconds=30)


@pytest.mark.every_engine
@pytest.mark.slow
def test_a_real_process_writes_into_this_tests_database(start):
    process = start(
        [sys.executable, "-c", WRITE_A_NOTE], DJANGO_SETTINGS_MODULE="tests.settings_of_process"
    )
    process.wait_line("written")
    assert process.wait_end() == 0
    assert [note.text for note in Note.objects.all()] == ["from a process"]


@pytest.mark.every_engine
@pytest.mark.slow
def test_a_real_process_is_waited_for_and_killed_with_its_group(start):
    port = free_port()
    process = start([sys.executable, "-c", SERVE, str(port)])
    process.wait_port(port)
    process.kill()
    assert process.wait_end() == -signal.SIGKILL
    assert not process.running


@pytest.mark.slow
def test_a_process_that_ends_too_early_shows_what_it_said(start):
    process = start([sys.executable, "-c", "raise SystemExit('no database')"])
    with pytest.raises(AssertionError, match="no database"):
        process.wait_line("ready")


def test_the_settings_point_at_the_sandbox(sandbox, process_env):
    assert sandbox.book("sessions") == []
    assert settings.STRIPE_API_BASE == process_env["STRIPE_API_BASE"] == sandbox.stripe_url
    assert process_env["EMAIL_PORT"] == str(sandbox.smtp_port)


@pytest.mark.django_db
def test_the_test_database_is_this_runs_own():
    Account.objects.create(name="here")
    name = str(connection.settings_dict["NAME"])
    assert "test" in name
    assert name not in settings.DATABASE_URL
