"""The cheaper ways of the MongoDB-wire server of the tests come to what its own ways come to."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from bson import Binary, Decimal128, ObjectId
from hypothesis import given
from hypothesis import strategies as st
from wiredtiger.packing import pack as pack_any
from wiredtiger.packing import unpack as unpack_any

from tests.mongo_speed import FORMATS, Storage, copied, pack, unpack

pytestmark = pytest.mark.no_database

OF_FORMAT = {
    "S": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9),
    "q": st.integers(-(2**63), 2**63 - 1),
    "u": st.binary(max_size=9),
}
KEYS = st.sampled_from(sorted(FORMATS)).flatmap(
    lambda fmt: st.tuples(st.just(fmt), st.tuples(*map(OF_FORMAT.get, fmt)))
)


@given(KEYS)
def test_keys_are_packed_as_the_storage_engine_packs_them(key: tuple[str, tuple]) -> None:
    fmt, values = key
    packed = pack(fmt, *values)
    assert packed == pack_any(fmt, *values)
    assert unpack(fmt, packed) == unpack_any(fmt, packed) == list(values)


def test_other_formats_are_packed_by_the_storage_engine() -> None:
    assert unpack("Squ", pack("Squ", "a", 1, b"b")) == ["a", 1, b"b"]


@pytest.fixture
def stored() -> Iterator[Storage]:
    """A collection in the middle of a client's command, which has looked at all it could."""
    storage = Storage()
    storage.release_thread_snapshot()
    storage.insert("shop", "things", [{"_id": 1, "a": 1}])
    assert storage.find_matching("shop", "things", {"a": 1}) == [{"_id": 1, "a": 1}]
    yield storage
    storage.close()


def test_an_index_counts_at_once_in_the_command_that_makes_it(stored: Storage) -> None:
    stored.create_index("shop", "things", "a_1", {"a": 1}, {"unique": True})
    assert [index["name"] for index in stored.list_indexes("shop", "things")] == ["_id_", "a_1"]
    assert stored.insert("shop", "things", [{"_id": 2, "a": 1}])[0] == 0
    stored.drop_index("shop", "things", "a_1")
    assert stored.insert("shop", "things", [{"_id": 3, "a": 1}])[0] == 1


def test_a_list_in_an_indexed_field_is_found_in_the_command_that_stores_it(stored: Storage) -> None:
    stored.create_index("shop", "things", "a_1", {"a": 1})
    stored.insert("shop", "things", [{"_id": 2, "a": [7, 8]}])
    assert [each["_id"] for each in stored.find_matching("shop", "things", {"a": 8})] == [2]
    assert stored.index_is_multikey("shop", "things", "a_1")


def test_a_collection_is_known_at_once_in_the_command_that_makes_or_drops_it(
    stored: Storage,
) -> None:
    assert not stored.collection_exists("shop", "others")
    stored.create_collection("shop", "others", {"capped": True})
    assert stored.get_collection_options("shop", "others")["capped"]
    stored.drop_collection("shop", "others")
    assert not stored.collection_exists("shop", "others")


def test_what_another_command_changed_is_known_to_the_next(stored: Storage) -> None:
    """Each command begins with `release_thread_snapshot`; a client's thread serves many of them."""
    before = dict(stored._tls.known)
    stored.create_index("shop", "things", "a_1", {"a": 1})
    stored._tls.known = before  # as if another thread had made it
    assert len(stored.list_indexes("shop", "things")) == 1
    stored.release_thread_snapshot()
    assert len(stored.list_indexes("shop", "things")) == 2


def test_a_copy_shares_nothing_that_can_change() -> None:
    rest = {"d": Decimal128("1.50"), "o": ObjectId(), "b": Binary(b"1"), "t": datetime.now(UTC)}
    document = {"list": [{"deep": [1]}], **rest}
    copy = copied(document)
    assert copy == document
    copy["list"][0]["deep"].append(2)
    assert document["list"] == [{"deep": [1]}]


def test_an_index_serves_a_long_list_of_keys_beside_other_parts(stored: Storage) -> None:
    stored.create_index("shop", "things", "a_1", {"a": 1})
    stored.insert("shop", "things", [{"_id": 2, "a": 1, "b": 3}, {"_id": 3, "a": 50, "b": 3}])
    wanted = {"$and": [{"b": 3}, {"a": {"$in": list(range(20))}}, {"$or": [{"a": 1}, {"a": 50}]}]}
    assert len(stored._try_index_id_keys("shop", "things", wanted) or ()) == 2
    assert [each["_id"] for each in stored.find_matching("shop", "things", wanted)] == [2]
