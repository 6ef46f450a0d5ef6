"""Every test keeps to its mark: what script/test runs on SQLite only may be left out on the other
engines.
"""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import DatabaseError, connection

from accounts.models import User
from script.files import project_files
from script.parts import Part
from script.suite import Waiting
from tests.any_engine import (
    DependsOnEngine,
    is_marked,
    kind_of,
    plain_statements_only,
)
from tests.concurrency import race
from tests.engines import ROOT


def uses_database(item: pytest.Item) -> bool:
    """Whether pytest-django lets this test at the database; where it does not, every access is an
    error.
    """
    return (
        "_django_db_helper" in item.fixturenames or item.get_closest_marker("django_db") is not None
    )


# --- no_database ----------------------------------------------------------------------------------
@pytest.mark.any_engine
def test_what_is_marked_as_without_a_database_has_none(request: pytest.FixtureRequest) -> None:
    items = [item for item in request.session.items if is_marked(item, "no_database")]
    assert [item.nodeid for item in items if uses_database(item)] == []


@pytest.mark.any_engine
def test_control_a_test_with_a_database_is_noticed(
    db: None, request: pytest.FixtureRequest
) -> None:
    assert uses_database(request.node)


@pytest.mark.any_engine
@pytest.mark.django_db
def test_control_a_test_with_the_mark_is_noticed(request: pytest.FixtureRequest) -> None:
    assert uses_database(request.node)


@pytest.mark.any_engine
def test_control_a_test_without_a_database_is_not_taken_for_one(
    request: pytest.FixtureRequest,
) -> None:
    assert not uses_database(request.node)


# --- any_engine: tests/conftest.py holds every marked test, and a whole run, to it ---------------
@pytest.mark.any_engine
def test_a_test_for_any_engine_may_read_and_write(db: None) -> None:
    with plain_statements_only():
        User.objects.create_user("ada@example.com")
        assert User.objects.filter(email="ada@example.com").exists()


def test_control_a_race_is_noticed(db: None) -> None:
    with pytest.raises(DependsOnEngine, match="a race"), plain_statements_only():
        race(lambda _: User.objects.count(), threads=2)


@pytest.mark.engines("sqlite")
def test_control_what_the_database_refuses_is_noticed(db: None) -> None:
    with (
        pytest.raises(DependsOnEngine, match="refuses"),
        plain_statements_only(),
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT nothing FROM nowhere")
    with pytest.raises(DatabaseError), connection.cursor() as cursor:
        cursor.execute("SELECT nothing FROM nowhere")


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("SELECT a, b FROM t WHERE c = %s LIMIT 21", "SELECT a FROM t WHERE c = %s LIMIT 1", True),
        ("SELECT a FROM t WHERE c IN (%s)", "SELECT a FROM t WHERE c IN (%s, %s)", True),
        ("UPDATE t SET a = %s WHERE c = %s", "UPDATE t SET b = %s, a = %s WHERE c = %s", True),
        ("SELECT a FROM t WHERE c = %s", "SELECT a FROM t WHERE c >= %s", False),
        ("SELECT a FROM t", "SELECT SUM(a) FROM t", False),
        ("SELECT a FROM t ORDER BY a", "SELECT a FROM t", False),
        ("UPDATE t SET a = %s WHERE c = %s", "UPDATE t SET a = %s WHERE b = %s", False),
    ],
)
def test_statements_are_alike_where_an_engine_has_the_same_to_do(
    one: str, other: str, same: bool
) -> None:
    assert (kind_of(one) == kind_of(other)) is same


# --- the order of the parts -----------------------------------------------------------------------
@pytest.mark.any_engine
def test_no_part_is_begun_beside_one_that_has_what_it_has_to_be_alone_with() -> None:
    clock, server = frozenset({"clock"}), frozenset({"server"})
    kills, times = Part("kills", [], clock | server), Part("times", [], clock)
    plain, asks = Part("plain", []), Part("asks", [], server)
    waiting = Waiting([kills, times, plain, asks])
    assert [waiting.take(), waiting.take()] == [kills, plain]
    with ThreadPoolExecutor(1) as lane:
        next_one = lane.submit(waiting.take)
        waiting.end(plain)
        assert not next_one.done()
        waiting.end(kills)
        assert next_one.result(10) == times
    assert waiting.take() == asks
    with ThreadPoolExecutor(1) as lane:
        last = lane.submit(waiting.take)
        assert last.result(10) is None


# --- the files of the project, with git or without ------------------------------------------------
@pytest.mark.any_engine
def test_files_that_gitignore_names_are_not_the_projects(tmp_path: Path) -> None:
    for name in (
        "app/a.py",
        "app/__pycache__/a.pyc",
        ".venv/lib/b.py",
        "var/c.py",
        ".env",
        "shop.sqlite3",
        "d.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    shutil.copy(ROOT / ".gitignore", tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in project_files(tmp_path)] == [
        ".gitignore",
        "app/a.py",
        "d.txt",
    ]
