"""`manage.py migrate` while the release before serves."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import OperationalError, connection
from django.utils import timezone

from courses.models import Course
from maaledu.management.commands import migrate
from operations.models import Heartbeat
from tests.releases.writes import COLUMNS, insert

pytestmark = pytest.mark.django_db


class Screen(io.StringIO):
    """What the command writes to; each line is looked at as it is written."""

    def __init__(self, look: Callable[[str], object]) -> None:
        super().__init__()
        self.look = look

    def write(self, text: str) -> int:
        self.look(text)
        return super().write(text)


@pytest.fixture
def one_migration(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One migration, which changes a table, for the app of the tests; the table as it was after."""
    monkeypatch.setattr(migrate, "LOCK_SECONDS", 0.2)
    monkeypatch.setattr(migrate, "PAUSE_SECONDS", 0.1)
    settings.MIGRATION_MODULES = {
        **dict.fromkeys(config.label for config in apps.get_app_configs()),
        "dbapp": "tests.releases.busy_table",
    }
    yield
    call_command("migrate", "dbapp", "zero", verbosity=0)


@pytest.fixture
def writer(one_migration: None) -> Iterator[psycopg.Connection]:
    """A transaction of the release that serves, which has written to the table."""
    parameters = connection.get_connection_params()
    parameters = {name: parameters[name] for name in ("host", "port", "user", "dbname")}
    with psycopg.connect(**parameters) as other:
        other.execute(
            "INSERT INTO operations_heartbeat (id, name, first_at, at)"
            " VALUES (gen_random_uuid(), 'somebody', now(), now())"
        )
        yield other


def lock_timeout() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        return cursor.fetchone()[0]


@pytest.mark.engines("postgres")
def test_a_migration_that_meets_a_busy_table_lets_go_and_tries_again(
    writer: psycopg.Connection,
) -> None:
    usual = lock_timeout()
    screen = Screen(lambda text: writer.commit() if "busy" in text else None)
    call_command("migrate", "dbapp", verbosity=0, stderr=screen)
    assert screen.getvalue().count("a table is busy: again in a moment") == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(another), count(*) FROM operations_heartbeat")
        assert cursor.fetchone() == (0, 1)
    assert lock_timeout() == usual == "10s"


@pytest.mark.engines("postgres")
def test_a_table_that_stays_busy_ends_the_migration_and_changes_nothing(
    writer: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "TRIES", 2)
    screen = Screen(lambda text: None)
    with pytest.raises(OperationalError, match="lock timeout"):
        call_command("migrate", "dbapp", verbosity=0, stderr=screen)
    assert screen.getvalue().count("busy") == 1
    writer.rollback()
    assert lock_timeout() == "10s"
    assert not Heartbeat.objects.exists()
    with connection.cursor() as cursor:
        columns = connection.introspection.get_table_description(cursor, "operations_heartbeat")
    assert "another" not in [column.name for column in columns]


@pytest.mark.engines("mongodb")
def test_a_field_that_the_last_release_left_out_is_found_by_its_default() -> None:
    insert("courses_course", COLUMNS["courses_course"])
    assert (Course.objects.get().lms_title, Course.objects.filter(lms_title="").count()) == ("", 0)
    screen = io.StringIO()
    call_command("migrate", fake=True, stdout=screen)
    assert "Defaults written for another release: 14" in screen.getvalue()
    assert Course.objects.filter(lms_title="", lms_facts_of="").count() == 1


@pytest.mark.engines("mongodb")
def test_what_a_row_has_is_not_replaced_by_a_default() -> None:
    insert("courses_course", COLUMNS["courses_course"])
    Course.objects.update(lms_title="Their title", updated_at=timezone.now())
    call_command("migrate", fake=True, verbosity=0)
    assert Course.objects.filter(lms_title="Their title").count() == 1
