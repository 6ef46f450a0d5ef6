"""Migrating from nothing makes exactly the tables of the models, on the engine of this run."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from tests.engines import ROOT, url_of_test_database
from tests.processes import Proc

pytestmark = pytest.mark.slow

COMPARE = """
import django
django.setup()
from django.apps import apps
from django.db import connection
introspection = connection.introspection
for model in apps.get_models(include_auto_created=True):
    table = model._meta.db_table
    with connection.cursor() as cursor:
        found = introspection.get_constraints(cursor, table)
    unique = sorted(sorted(c["columns"]) for c in found.values() if c["unique"])
    indexed = sorted(sorted(c["columns"]) for c in found.values() if c["index"])
    print(table, unique, indexed)
"""


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


def test_migrating_from_nothing_and_again_makes_the_tables_of_the_models_and_passes_the_checks(
    empty_database_url, tmp_path, db
):
    run("manage.py", "migrate", url=empty_database_url, log=tmp_path / "first")
    assert "No migrations to apply" in run(
        "manage.py", "migrate", url=empty_database_url, log=tmp_path / "second"
    )
    migrated = run("-c", COMPARE, url=empty_database_url, log=tmp_path / "migrated")
    from_models = run("-c", COMPARE, url=_own_url(), log=tmp_path / "models")
    [log] = [line for line in migrated.splitlines() if line.startswith("django_admin_log ")]
    assert OF_THE_OFFICE in log
    same = migrated.replace(log, log.replace(OF_THE_OFFICE, ""))
    assert sorted(same.splitlines()) == sorted(from_models.splitlines())
    assert "enrollments_enrollment" in migrated
    check = ("manage.py", "check", "--database", "default")
    assert "no issues" in run(*check, url=empty_database_url, log=tmp_path / "check")


def _own_url() -> str:
    return url_of_test_database(connection.settings_dict, settings.DATABASE_URL)
