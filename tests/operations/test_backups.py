"""A backup is read back before it counts, is put in place whole or not at all, and Stripe brings
back what was bought since (fault O2).
"""

import resource
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, connections
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from affiliates import immutability
from enrollments.models import Enrollment
from maaledu.insert_only import ENGINES
from notifications.models import Alert
from operations import heartbeats, invariants
from operations.backups import folder, restoring, taking
from operations.backups.engines import engine
from operations.backups.errors import BackupDamaged, BackupImpossible, RestoreRefused
from operations.models import Heartbeat
from payments.models import Payment
from tests.affiliates.history import adjust
from tests.affiliates.make import make_affiliate
from tests.affiliates.shop import deliver_events
from tests.factories import make_course, make_pending
from tests.processes import free_port
from tests.sandbox_client import Sandbox

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def run(name: str, *arguments: str) -> str:
    out = StringIO()
    call_command(name, *arguments, stdout=out, stderr=out)
    return out.getvalue()


def every_row() -> dict[str, list[Any]]:
    return {
        model._meta.label: sorted(map(repr, model._default_manager.values_list()))
        for model in apps.get_models(include_auto_created=True)
    }


def restore(taken: Path) -> None:
    restoring.put_in_place(taken, restoring.examine(taken, replace=True))


def buy(sandbox: Sandbox, slug: str, number: int) -> None:
    """Buy as a visitor with an address of their own; Stripe reports it."""
    client = Client(REMOTE_ADDR=f"203.0.113.{number}")
    form = {"email": f"learner{number}@example.com", "accept_terms": "on"}
    assert client.post(f"/checkout/{slug}/", form).status_code == 302
    payment = Payment.objects.get(enrollment__email=form["email"])
    sandbox.pay(payment.stripe_session_id)
    deliver_events(sandbox)


def paid() -> set[str]:
    return set(Enrollment.objects.filter(status="paid").values_list("email", flat=True))


# --- there and back -------------------------------------------------------------------------------
@pytest.mark.django_db
def test_a_restored_backup_has_every_row_as_it_was_and_the_ledgers_guards(tmp_path: Path) -> None:
    adjust(make_affiliate(), 4990, "thanks")
    make_pending(name="Zoë “Ω” \\. \\N \t O'Neil")
    before = every_row()
    taken = taking.take(tmp_path)
    make_pending()
    Enrollment.objects.update(name="changed")
    restore(taken)
    assert every_row() == before
    assert [path.name for path in tmp_path.iterdir()] == [taken.name]
    if connection.vendor in ENGINES:
        with pytest.raises(DatabaseError), connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {immutability.LEDGER.table}")


@pytest.mark.django_db
def test_purchases_before_during_and_after_a_backup_are_all_here_after_its_restore(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.webhooks(hold=False)
    slug = make_course().slug
    buy(sandbox, slug, 1)

    def buy_on() -> None:
        try:
            for number in range(2, 5):
                buy(sandbox, slug, number)
        finally:
            connections.close_all()

    buyer = threading.Thread(target=buy_on)
    buyer.start()
    taken = taking.take(tmp_path)
    buyer.join()
    buy(sandbox, slug, 5)
    everyone = {f"learner{number}@example.com" for number in range(1, 6)}
    assert paid() == everyone
    restore(taken)
    assert "learner1@example.com" in paid()
    assert "learner5@example.com" not in paid()
    assert invariants.verify() == []
    text = run("restore", str(taken), "--replace")
    assert paid() == everyone
    assert "rebuilt: " in text
    assert "their amounts are owed again" in text
    assert "invariants hold" in text


@pytest.mark.django_db
@pytest.mark.any_engine
def test_what_is_left_to_do_after_a_restore_is_named(tmp_path: Path) -> None:
    """Nothing answers at Stripe's address here."""
    taken = taking.take(tmp_path)
    with pytest.raises(CommandError, match=r"run again: manage.py reconcile_stripe --days 2\.$"):
        run("restore", str(taken))


@pytest.mark.django_db
def test_a_backup_is_of_one_moment_while_others_write(tmp_path: Path) -> None:
    """Each purchase is an enrollment and a payment in one transaction: never one without the
    other.
    """
    course, stop = make_course(), threading.Event()

    def write() -> None:
        try:
            while not stop.is_set():
                make_pending(course)
        finally:
            connections.close_all()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        rows = [folder.read_manifest(taking.take(tmp_path / str(n))).rows for n in range(3)]
    finally:
        stop.set()
        writer.join()
    assert rows[0]["enrollments_enrollment"] < rows[2]["enrollments_enrollment"]
    for found in rows:
        enrollments, payments = found["enrollments_enrollment"], found["payments_payment"]
        assert enrollments - payments in (0, 1)


# --- refusals: nothing has changed ----------------------------------------------------------------
def refused(taken: Path, *arguments: str) -> str:
    before = every_row()
    with pytest.raises(CommandError) as failure:
        run("restore", str(taken), *arguments)
    assert every_row() == before
    return str(failure.value)


@pytest.fixture
def somebody(db: None) -> Iterator[None]:
    """Another process that has the database open."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(name)) as other:
            other.execute("SELECT COUNT(*) FROM enrollments_enrollment").fetchall()
            yield
    else:
        where = connection.get_connection_params()
        kept = {key: where[key] for key in ("host", "port", "user", "password") if key in where}
        with psycopg.connect(dbname=name, **kept):
            yield


@pytest.mark.engines("sqlite", "postgres")
def test_a_database_in_use_is_refused(tmp_path: Path, somebody: None) -> None:
    taken = taking.take(tmp_path)
    make_pending()
    assert "The database is in use" in refused(taken, "--replace")


@pytest.mark.engines("mongodb")
@pytest.mark.django_db
def test_a_database_whose_worker_was_just_seen_is_refused(tmp_path: Path) -> None:
    taken = taking.take(tmp_path)
    heartbeats.note(heartbeats.WORKER)
    assert "heartbeats within the last two minutes: worker" in refused(taken, "--replace")
    Heartbeat.objects.update(at=timezone.now() - timedelta(minutes=3))
    restoring.examine(taken, replace=True)


@pytest.mark.django_db
def test_what_would_be_lost_is_named_first(tmp_path: Path) -> None:
    taken = taking.take(tmp_path)
    make_pending()
    assert "1 enrollments, the newest of" in refused(taken)


@pytest.mark.django_db
@pytest.mark.any_engine
def test_a_backup_that_is_not_for_this_shop_is_refused(tmp_path: Path) -> None:
    taken = taking.take(tmp_path)
    manifest = folder.read_manifest(taken)
    for changes, why in (
        ({"engine": "oracle"}, "This backup is of oracle"),
        ({"migrations": ["grants.0999_later"], "version": "9.9"}, "version 9.9 and has migrations"),
    ):
        folder.write_manifest(taken, type(manifest)(**{**vars(manifest), **changes}))
        assert why in refused(taken)


@pytest.mark.any_engine
@pytest.mark.django_db
def test_a_damaged_backup_is_refused_and_says_which_file(tmp_path: Path) -> None:
    taken = taking.take(tmp_path)
    file = max(taken.iterdir(), key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    assert f"is damaged: {file.name}" in refused(taken)
    file.unlink()
    assert f"is damaged: {file.name}" in refused(taken)
    (taken / folder.MANIFEST).write_text("{}")
    assert "has no readable manifest.json" in refused(taken)


@pytest.mark.any_engine
@pytest.mark.django_db
def test_what_cannot_be_read_back_is_no_backup(tmp_path: Path) -> None:
    taken = taking.take(tmp_path)
    for file in taken.iterdir():
        if file.name != folder.MANIFEST:
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(BackupDamaged):
        engine().read_back(taken)


@pytest.mark.django_db
def test_a_directory_that_takes_nothing_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BackupImpossible, match="could not be written"):
        taking.take(tmp_path / "file")
    for _ in range(2):
        with pytest.raises(CommandError, match="There is no new backup"):
            run("backup", str(tmp_path / "file"))
    with pytest.raises(CommandError, match="set BACKUP_DIR"):
        run("backup", "")
    assert [alert.subject for alert in Alert.objects.all()] == ["The backup failed"]
    assert Alert.objects.get().recovered_at is None
    run("backup", str(tmp_path / "folder"))
    assert Alert.objects.get().recovered_at is not None


@contextmanager
def small_disk() -> Iterator[None]:
    """No file may grow beyond 64 KiB, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.django_db
def test_a_disk_that_is_full_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    """As fault O6: on SQLite it was a traceback, and nobody was alerted for a day."""
    for _ in range(200):
        make_course(description="long " * 200)
    with small_disk(), pytest.raises(BackupImpossible):
        taking.take(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.engines("sqlite")
@pytest.mark.django_db
def test_a_restore_that_the_disk_does_not_take_changes_nothing(tmp_path: Path) -> None:
    taken = taking.take(tmp_path)
    before = every_row()
    with small_disk(), pytest.raises(RestoreRefused, match="Nothing was changed"):
        engine().load(taken)
    assert every_row() == before
    database = Path(connection.settings_dict["NAME"])
    assert not database.with_name(f"{database.name}.restoring").exists()


@pytest.mark.engines("postgres")
@pytest.mark.django_db
def test_a_database_that_lets_nobody_in_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection.settings_dict, "PORT", str(free_port()))
    with pytest.raises(BackupImpossible, match="did not let the rows be read"):
        taking.take(tmp_path)


@pytest.mark.engines("postgres")
@pytest.mark.django_db
def test_a_missing_program_of_postgresqls_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupImpossible, match="pg_dump was not found"):
        taking.take(tmp_path / "backups")
    assert list((tmp_path / "backups").iterdir()) == []


@pytest.mark.engines("postgres")
@pytest.mark.django_db
def test_a_restore_that_fails_half_way_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    taken = taking.take(tmp_path)
    make_pending()
    with connection.cursor() as cursor:  # a view of somebody's own, which no backup knows
        cursor.execute("CREATE VIEW report AS SELECT title FROM courses_course")
    before = every_row()
    try:
        with pytest.raises(RestoreRefused, match="report"):
            restore(taken)
        assert every_row() == before
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP VIEW report")


# --- old ones -------------------------------------------------------------------------------------
def make_backups(parent: Path, moments: list[datetime]) -> None:
    for moment in moments:
        path = parent / folder.name_of(moment)
        path.mkdir()
        (path / folder.MANIFEST).write_text("{}")


@pytest.mark.any_engine
def test_old_backups_are_thinned_to_days_weeks_and_months(tmp_path: Path) -> None:
    hours = [NOW - timedelta(hours=6 * n) for n in range(4 * 800)]
    make_backups(tmp_path, hours)
    folder.thin(tmp_path, NOW)
    kept = [moment for moment, _ in folder.finished(tmp_path)]
    ages = [NOW - moment for moment in kept]
    assert kept == sorted(kept, reverse=True)
    assert sum(age < timedelta(days=2) for age in ages) == 8
    assert len({moment.date() for moment in kept if NOW - moment < timedelta(days=14)}) == 15
    assert len({f"{moment:%G%V}" for moment in kept if NOW - moment < timedelta(weeks=8)}) == 9
    assert len({f"{moment:%Y%m}" for moment in kept}) == 13
    assert len(kept) == 8 + 12 + 6 + 12
    assert max(ages) < timedelta(days=365)
    assert folder.thin(tmp_path, NOW) == []


@pytest.mark.any_engine
def test_neither_the_newest_nor_what_is_no_backup_is_deleted(tmp_path: Path) -> None:
    make_backups(tmp_path, [NOW - timedelta(days=4000)])
    (tmp_path / "maaledu-20010101T000000Z").mkdir()
    (tmp_path / "holiday.jpg").write_text("not ours")
    assert folder.thin(tmp_path, NOW) == []
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.any_engine
def test_what_a_killed_run_left_is_deleted_a_day_later(tmp_path: Path) -> None:
    (tmp_path / f"{folder.name_of(NOW)}{folder.UNFINISHED}").mkdir()
    now = timezone.now()
    folder.delete_unfinished(tmp_path, now)
    assert len(list(tmp_path.iterdir())) == 1
    folder.delete_unfinished(tmp_path, now + timedelta(days=1, seconds=1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.django_db
@pytest.mark.any_engine
def test_the_command_says_what_it_made_and_deleted(tmp_path: Path, settings: Settings) -> None:
    make_pending()
    make_backups(tmp_path, [NOW - timedelta(days=days) for days in (900, 4000)])
    text = run("backup", str(tmp_path))
    assert "read back" in text
    assert text.count("which the rule does not keep") == 2
    assert "deleted maaledu-20240612T120000Z" in text
    assert run("backup", str(tmp_path / "other"), "--keep-all").count("\n") == 1
