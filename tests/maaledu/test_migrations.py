"""Migrating from nothing makes exactly the tables of the models, on the engine of this run."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection

from tests.engines import ROOT
from tests.processes import Proc

pytestmark = pytest.mark.slow

TABLE = "table:"
AGAIN = "Migrated from nothing, and now again:"
# Migrate as from the command line; then nothing is left to migrate, the checks pass, and these are
# the tables.
MIGRATE = f"""
from django.core.management import call_command, execute_from_command_line
execute_from_command_line(["manage.py", "migrate"])
print({AGAIN!r})
from tests.maaledu.test_migrations import print_tables
call_command("migrate")
call_command("check", databases=["default"])
print_tables()
"""


def print_tables() -> None:
    for model in apps.get_models(include_auto_created=True):
        print(TABLE, _described(model._meta.db_table))


def _described(table: str) -> str:
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, table)
    unique = sorted(sorted(each["columns"]) for each in found.values() if each["unique"])
    indexed = sorted(sorted(each["columns"]) for each in found.values() if each["index"])
    return f"{table} {unique} {indexed}"


@pytest.fixture
def empty_database_url(tmp_path: Path) -> Iterator[str]:
    """The DATABASE_URL of a database without any table."""
    name = f"test_maaledu_{uuid4().hex[:12]}"
    if connection.vendor == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite3'}"
        return
    base = settings.DATABASE_URL.partition("?")[0].rpartition("/")[0]
    if connection.vendor == "mongodb":
        yield f"{base}/{name}"
        return
    with psycopg.connect(
        f"{base.replace('postgres://', 'postgresql://')}/postgres", autocommit=True
    ) as server:
        server.execute(f"CREATE DATABASE {name}")
        yield f"{base}/{name}"
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def run(*command: str, url: str, log: Path) -> str:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "maaledu.settings",
        "DATABASE_URL": url,
        "PYTHONPATH": str(ROOT),
    }
    process = Proc([sys.executable, *command], env=environment, log=log)
    try:
        assert process.wait_end(120) == 0, process.output()
        return process.output()
    finally:
        process.stop()


# The office's own index on Django's table of changes (office/migrations), which no model has.
OF_THE_OFFICE = "['object_id'], "
OF_THE_TESTS = "dbapp_"


def test_migrating_from_nothing_and_again_makes_the_tables_of_the_models_and_passes_the_checks(
    empty_database_url, tmp_path, db, capsys
):
    output = run("-c", MIGRATE, url=empty_database_url, log=tmp_path / "log")
    first, _, again = output.partition(AGAIN)
    assert "Applying enrollments." in first
    assert "No migrations to apply" in again
    assert "no issues" in again
    print_tables()
    migrated, from_models = tables_in(again), tables_in(capsys.readouterr().out)
    [log] = [line for line in migrated if line.startswith("django_admin_log ")]
    assert OF_THE_OFFICE in log
    same = [line.replace(OF_THE_OFFICE, "") if line == log else line for line in migrated]
    assert same == [line for line in from_models if not line.startswith(OF_THE_TESTS)]
    assert any(line.startswith("enrollments_enrollment ") for line in migrated)


def tables_in(output: str) -> list[str]:
    lines = [line for line in output.splitlines() if line.startswith(TABLE)]
    return sorted(line.removeprefix(TABLE).strip() for line in lines)
