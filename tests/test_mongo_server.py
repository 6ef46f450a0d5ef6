"""The MongoDB-wire server of the tests: what it does otherwise than a real one would make tests
wait for ever.
"""

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import connection
from pymongo.collection import Collection

from tests.cleaning import filled_by_pipeline, filled_tables, tables
from tests.dbapp.models import Account, Note

SECONDS = 20

pytestmark = [pytest.mark.engines("mongodb"), pytest.mark.django_db]


@pytest.mark.parametrize(
    ("write", "left"),
    [
        (
            lambda things: things.update_many({}, {"$inc": {"plain": 1}}),
            [{"_id": n, "inside": 1, "plain": 1} for n in (1, 2)],
        ),
        (lambda things: things.delete_many({}), []),
        (lambda things: things.database.command("emptyCollections", names=[things.name]), []),
    ],
    ids=["update", "delete", "empty"],
)
def test_a_plain_write_that_waits_for_a_transaction_does_not_keep_it_from_ending(
    write: Callable[[Collection], Any], left: list[dict]
):
    things = connection.database["things_of_a_test"]
    things.insert_many([{"_id": 1}, {"_id": 2}])
    plain = threading.Thread(target=write, args=[things], daemon=True)
    with connection.connection.start_session() as session:
        session.start_transaction()
        things.update_one({"_id": 1}, {"$inc": {"inside": 1}}, session=session)
        plain.start()
        time.sleep(0.3)
        again = partial(things.update_one, {"_id": 2}, {"$inc": {"inside": 1}}, session=session)
        other = threading.Thread(target=again, daemon=True)
        other.start()
        other.join(SECONDS)
        assert not other.is_alive(), (
            "the second write of the transaction waits for the plain one, which waits for it"
        )
        session.commit_transaction()
    plain.join(SECONDS)
    assert not plain.is_alive()
    found = list(things.find({}, sort=[("_id", 1)]))
    things.drop()
    assert found == left


def test_it_says_what_is_filled_as_a_pipeline_does():
    assert (filled_tables(), filled_by_pipeline(tables())) == ([], [])
    Note.objects.create(text="one")
    Account.objects.create(name="two")
    both = sorted([Account._meta.db_table, Note._meta.db_table])
    assert (filled_tables(), sorted(filled_by_pipeline(tables()))) == (both, both)
    Note.objects.all().delete()
    assert filled_tables() == [Account._meta.db_table]


def test_it_empties_collections_and_their_indexes_and_no_others():
    database = connection.database
    names = ["things", "things2", "thing"]
    for name in names:
        database[name].create_index("a", unique=True)
        database[name].insert_many([{"_id": 1, "a": 1}, {"_id": 2, "a": [2, 3]}])
    assert database.command("emptyCollections", names=["things", "none"])["filled"] == ["things"]
    assert [database[name].count_documents({}) for name in names] == [0, 2, 2]
    assert [len(list(database[name].find({"a": 3}))) for name in names] == [0, 1, 1]
    database["things"].insert_many([{"_id": 2, "a": 1}, {"_id": 1, "a": 2}])
    assert [each["_id"] for each in database["things"].find({"a": {"$in": [1, 3]}})] == [2]
    for name in names:
        database[name].drop()
