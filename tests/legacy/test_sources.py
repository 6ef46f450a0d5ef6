"""All formats of one old database give one result, and what cannot be read is one plain refusal."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bson
import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from legacy.errors import SourceUnreadable
from legacy.models import ImportedRow
from legacy.reading import read_all
from legacy.sources import open_source
from legacy.vocabulary import read_names
from tests.legacy.old_database import (
    NOW,
    Documents,
    by_seed,
    hand_written,
    write_array,
    write_bson,
    write_json,
)
from tests.legacy.run import Ran, dump, import_legacy, rows_of
from tests.mongo_server import Server

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
REFUSED = 2


def report_line(ran: Ran) -> str:
    return next(line for line in ran.text.splitlines() if line.startswith("report "))


def test_every_format_of_one_database_gives_the_same_report(tmp_path: Path) -> None:
    old = by_seed(99, sales=12)
    for rows in old.values():
        rows[:] = [row for row in rows if row.get("amount") == row.get("amount")]  # no NaN
    folders = [
        write_json(old, tmp_path / "canonical"),
        write_json(old, tmp_path / "relaxed", relaxed=True),
        write_array(old, tmp_path / "array"),
        write_bson(old, tmp_path / "dump"),
    ]
    assert len({report_line(import_legacy(folder)) for folder in folders}) == 1


def cut(folder: Path) -> None:
    path = folder / "enrollments.json"
    path.write_bytes(path.read_bytes()[:-10])


def twice(folder: Path) -> None:
    path = folder / "users.json"
    path.write_text(path.read_text() * 2)


def without_key(folder: Path) -> None:
    (folder / "users.json").write_text('{"email": "a@example.com"}\n')


def foreign(folder: Path) -> None:
    for path in folder.glob("*.json"):
        path.rename(path.with_name(f"other-{path.name}"))


def no_document(folder: Path) -> None:
    (folder / "users.json").write_text("[1, 2]\n")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (cut, "enrollments.json, line 6"),
        (twice, "users has"),
        (without_key, "a document has no _id"),
        (foreign, "is not the old database"),
        (no_document, "users.json, document 1"),
    ],
)
def test_what_cannot_be_read_is_named_and_nothing_is_written(
    spoil: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    folder = write_json(hand_written(), tmp_path / "old")
    spoil(folder)
    ran = import_legacy(folder, "--apply")
    assert (ran.status, ImportedRow.objects.count()) == (REFUSED, 0)
    assert said in ran.text
    assert "Traceback" not in ran.text


def test_a_folder_that_is_empty_or_missing_and_a_database_without_address_are_refused(
    tmp_path: Path,
) -> None:
    for name in (tmp_path, tmp_path / "missing", "live"):
        assert import_legacy(name).status == REFUSED
    assert "Say what to import" in import_legacy().text


@pytest.fixture
def live(settings) -> Iterator[MongoClient[dict[str, Any]]]:
    """Return the old database on a server, as its user sees it who may read it and nothing else."""
    server = Server(port=0, storage_path=":memory:")
    server.start()
    try:
        with MongoClient[dict[str, Any]](server.uri) as owner:
            for collection, rows in hand_written().items():
                owner.old[collection].insert_many(rows)
            for user, role in (("reader", "read"), ("writer", "readWrite")):
                owner.old.command("createUser", user, pwd="hunter2pass", roles=[role])
        server.require_auth = True
        address = server.uri.rstrip("/").replace("://", "://reader:hunter2pass@")
        settings.LEGACY_DATABASE_URL = f"{address}/old"
        with MongoClient[dict[str, Any]](settings.LEGACY_DATABASE_URL) as reader:
            yield reader
    finally:
        server.stop()


def test_a_live_database_is_read_by_who_may_only_read_and_is_as_its_dump(
    live: MongoClient[dict[str, Any]], tmp_path: Path
) -> None:
    """Requirement R205: the source is never written to."""

    def everything() -> dict[str, list[bytes]]:
        names = sorted(live.old.list_collection_names())
        return {name: [bson.encode(row) for row in live.old[name].find()] for name in names}

    at = ("--exported-at", NOW.isoformat())
    before, nothing = everything(), dump()
    with pytest.raises(OperationFailure, match="not authorized"):
        live.old.users.insert_one({"email": "control@example.com"})
    folder = write_bson(hand_written(), tmp_path / "old")
    announced = import_legacy("live", *at)
    assert dump() == nothing
    assert report_line(announced) == report_line(import_legacy(folder, *at))
    assert report_line(import_legacy("live", *at, "--apply")) == report_line(announced)
    assert "0 new, 0 changed" in import_legacy(folder, *at, "--apply").text
    assert import_legacy("live", *at, "--verify").text.endswith("0 differences\n")
    assert everything() == before


def test_a_live_database_that_is_written_to_meanwhile_is_read_again_by_the_operator(
    live: MongoClient[dict[str, Any]], settings
) -> None:
    """One sale more than was read could be the one that used a coupon."""

    def sell(name: str, count: int) -> None:
        if (name, count) == ("users", 1):
            writer.old.enrollments.insert_one({"email": "late@example.com"})

    address = settings.LEGACY_DATABASE_URL.replace("reader", "writer")
    with MongoClient[dict[str, Any]](address) as writer:
        with pytest.raises(SourceUnreadable, match="enrollments: 6 documents were read, and 7"):
            read_all(open_source("live"), read_names(None), progress=sell)
        read_all(open_source("live"), read_names(None), progress=lambda name, count: None)


def test_the_address_of_a_live_database_is_never_shown(settings) -> None:
    settings.LEGACY_DATABASE_URL = "mongodb://reader:hunter2pass@127.0.0.1:9/"
    ran = import_legacy("live")
    assert ran.status == REFUSED
    assert "hunter2pass" not in ran.text
    assert "LEGACY_DATABASE_URL" in ran.text


def test_a_customers_own_names_are_looked_up(tmp_path: Path) -> None:
    old = hand_written()
    plain = rows_of_dry(old, tmp_path / "plain")
    for user in old["users"]:
        user["profile"] = {"mail": user.pop("email")}
    theirs: Documents = {**old, "members": old["users"]}
    del theirs["users"]
    names = tmp_path / "names.toml"
    names.write_text('[collections]\nusers = "members"\n[users]\nemail = "profile.mail"\n')
    assert rows_of_dry(theirs, tmp_path / "named", "--names", names) == plain
    names.write_text('[users]\nshoe = "size"\n')
    ran = import_legacy(tmp_path / "plain" / "old", "--names", names)
    assert (ran.status, "users.shoe" in ran.text) == (REFUSED, True)


def rows_of_dry(old: Documents, folder: Path, *more: object) -> dict:
    import_legacy(write_json(old, folder / "old"), "--report", folder / "report", *more)
    return rows_of(folder / "report")


@pytest.mark.every_engine
def test_neither_report_nor_mapping_hold_a_password_or_token(tmp_path: Path) -> None:
    old = hand_written()
    old["users"][0]["resetToken"] = "secret-of-somebody"
    old["users"][0]["nested"] = {"access_token": "secret-of-somebody"}
    old["accounts"] = [{**old["sessions"][0], "access_token": "secret-of-somebody"}]
    folder = write_bson(old, tmp_path / "old")
    import_legacy(folder, "--apply", "--report", tmp_path / "report")
    shown = "".join(path.read_text() for path in (tmp_path / "report").iterdir())
    kept = "".join(ImportedRow.objects.values_list("document", flat=True))
    assert "Ada" in kept
    for text in (shown, kept):
        assert "$2b$" not in text
        assert "secret-of-somebody" not in text
    assert import_legacy("--forget").text.startswith("13 documents forgotten")
    assert not ImportedRow.objects.exclude(document="").exists()


@pytest.mark.every_engine
def test_a_huge_document_is_imported_and_its_copy_left_out(tmp_path: Path) -> None:
    old = hand_written()
    old["users"][0]["password"] = "x" * 5_000_000
    old["users"][0]["image"] = "y" * 100_000
    ran = import_legacy(write_bson(old, tmp_path / "old"), "--apply")
    assert "imported, password unusable: 1" in ran.text
    row = ImportedRow.objects.get(collection="users")
    assert "left out" in row.document
    assert len(row.document) < 200
