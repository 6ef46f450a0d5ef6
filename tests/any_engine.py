"""What a test that is run on SQLite only may do: nothing that another engine could answer
differently.

pyproject.toml says what the marks mean. While a test marked `any_engine` runs, races and errors of
the database are refused; and a whole run fails (tests/conftest.py) where a statement comes from
such tests alone. How many statements a page asks may be counted on SQLite alone: they are the same
on each engine. Where exactly so many are promised, they are counted on each.
"""

import re
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.db.backends.signals import connection_created

OVERRIDES = ("every_engine", "engines")
# Of this run so far: statements of tests for every engine, and those of the others with the name of
# one that made them.
asked_on_every_engine: set[str] = set()
asked_on_any_engine: dict[str, str] = {}


class DependsOnEngine(AssertionError):
    """A test that is marked `any_engine` does what may come out differently on another engine."""


def is_marked(item: pytest.Item, name: str) -> bool:
    """Whether this mark, of its module or its own, is what decides where the test is run."""
    return item.get_closest_marker(name) is not None and not any(
        map(item.get_closest_marker, OVERRIDES)
    )


def seldom(cases: Iterable[str], *, on_every_engine: Collection[str]) -> list[Any]:
    """Return the cases for `parametrize`: all of them on SQLite, and only these on every engine,
    whose statements are those of all.
    """
    assert set(on_every_engine) <= set(cases)
    return [
        case if case in on_every_engine else pytest.param(case, marks=pytest.mark.any_engine)
        for case in cases
    ]


@contextmanager
def watched(item: pytest.Item) -> Iterator[None]:
    """Hold a test to its mark, and note what it asks of the database."""
    with (
        _plain_for(item.nodeid)
        if is_marked(item, "any_engine")
        else connection.execute_wrapper(_note)
    ):
        yield


@contextmanager
def _plain_for(test: str) -> Iterator[None]:
    with plain_statements_only() as statements:
        yield
    asked_on_any_engine.update(dict.fromkeys(statements, test))


def _note(
    execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    asked_on_every_engine.add(str(sql))
    return execute(sql, params, many, context)


@contextmanager
def plain_statements_only() -> Iterator[set[str]]:
    """Refuse connections in other threads, which race, and errors of the database."""
    threads: list[str] = []
    statements: set[str] = set()

    def note_thread(**_: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            threads.append(threading.current_thread().name)

    def plain(
        execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        statements.add(str(sql))
        return _run_plain(execute, sql, params, many, context)

    connection_created.connect(note_thread)
    try:
        with connection.execute_wrapper(plain):
            yield statements
    finally:
        connection_created.disconnect(note_thread)
    if threads:
        raise DependsOnEngine(f"a race is run on every engine; these threads connected: {threads}")


def _run_plain(
    execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    try:
        return execute(sql, params, many, context)
    except DatabaseError as error:
        raise DependsOnEngine(
            f"what a database refuses is asked on every engine: {error}"
        ) from error


def noted() -> list[Any]:
    """Return what was asked in this process, to be sent to the one that began it."""
    return [sorted(asked_on_every_engine), asked_on_any_engine]


def take(noted: list[Any]) -> None:
    """Add what was asked in another process of this run."""
    on_every_engine, on_any_engine = noted
    asked_on_every_engine.update(on_every_engine)
    asked_on_any_engine.update(on_any_engine)


# --- what one statement has in common with another ------------------------------------------------
NOT_OURS = re.compile(
    r"SAVEPOINT|RELEASE|ROLLBACK|PRAGMA|CREATE|DROP|\s*SELECT name, type FROM sqlite_master"
)
COLUMNS = re.compile(r"^SELECT (?:DISTINCT )?(.*?) FROM ", re.DOTALL)
COMPUTED = re.compile(r"[A-Z]{3,}\(|CASE|SELECT|EXISTS|[-+*/] ")


def kind_of(sql: str) -> str:
    """Return the statement without the names of plain columns that it reads or sets, and without
    how many values it is given.
    """
    sql = re.sub(
        r"IN \((?:%s(?:, )?)+\)", "IN (..)", re.sub(r"LIMIT \d+(?: OFFSET \d+)?", "LIMIT n", sql)
    )
    if sql.startswith("INSERT"):
        return " ".join(sql.split()[:3])
    if sql.startswith("UPDATE"):
        return re.sub(r" SET .*? WHERE ", " SET .. WHERE ", sql, count=1, flags=re.DOTALL)
    columns = COLUMNS.match(sql)
    if columns and not COMPUTED.search(columns[1]):
        return f"SELECT .. {sql[columns.end(1) :]}"
    return sql


def asked_on_any_engine_alone() -> dict[str, str]:
    """Return the kinds of statement that no test for every engine has made in this run, each with a
    test that has.
    """
    known = {kind_of(sql) for sql in asked_on_every_engine}
    kinds = {
        kind_of(sql): test for sql, test in asked_on_any_engine.items() if not NOT_OURS.match(sql)
    }
    return {kind: test for kind, test in kinds.items() if kind not in known}
