"""The cheaper ways of the MongoDB-wire server of the tests come to what its own ways come to."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import Binary, Decimal128, Int64, ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st
from secantus import aggregate, projection, storage
from wiredtiger.packing import pack as pack_any
from wiredtiger.packing import unpack as unpack_any

from tests.mongo_joins import join, join_each
from tests.mongo_speed import (
    FORMATS,
    Storage,
    compile_projection,
    copied,
    known_projection,
    pack,
    unpack,
)

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


# --- updates --------------------------------------------------------------------------------------
VALUES = st.sampled_from(
    [
        None,
        0,
        1,
        1.0,
        True,
        "1",
        [1],
        [1, 2],
        {"e": 1},
        Decimal128("1"),
        Decimal128("1.0"),
        Int64(1),
    ]
)
DOCUMENTS = st.dictionaries(st.sampled_from("abcd"), VALUES)
INDEXES = {
    "a_1": ({"a": 1}, {}),
    "b_1_c_1": ({"b": 1, "c": -1}, {}),
    "c_1": ({"c": 1}, {"partialFilterExpression": {"b": 1}}),
    "d_1": ({"d.e": 1}, {"sparse": True}),
    "_id_a": ({"_id": 1, "a": 1}, {"unique": True}),
}


@pytest.fixture(scope="module")
def both_ways() -> Iterator[list[storage.Storage]]:
    stores = [storage.Storage(), Storage()]
    for store in stores:
        for name, (key, options) in INDEXES.items():
            store.create_index("shop", "things", name, key, options)
    yield stores
    for store in stores:
        store.close()


@settings(deadline=None)  # a machine with much else to do takes its time
@given(st.lists(DOCUMENTS, min_size=2, max_size=4), st.booleans())
def test_an_update_leaves_in_the_indexes_what_the_servers_own_way_leaves(
    both_ways: list[storage.Storage], documents: list[dict[str, Any]], multi: bool
) -> None:
    contents = []
    for store in both_ways:
        store.insert("shop", "things", [{"_id": key, **documents[0]} for key in (1, 2)])
        for changed in documents[1:]:
            unset = dict.fromkeys(set("abcd") - set(changed), "")
            store.update_matching(
                "shop", "things", {}, {"$set": changed, "$unset": unset}, multi=multi
            )
        contents.append([entries(store), store.find_matching("shop", "things", {})])
        store.delete_matching("shop", "things", {})
        assert not any(entries(store))
    assert contents[0] == contents[1]


def entries(store: storage.Storage) -> list[Any]:
    return [
        store._collect_prefix(table, ("shop", "things"))
        for table in (storage._IDX_ENTRIES_TABLE, storage._UNIQ_TABLE)
    ]


# --- joins ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("others", [0, 5, 500])
@pytest.mark.parametrize("pipeline", [[], [{"$match": {"kind": {"$in": ["x", None]}}}]])
def test_a_join_finds_what_the_servers_own_way_finds(
    stored: Storage, others: int, pipeline: list[dict[str, Any]]
) -> None:
    stored.create_index("shop", "others", "to_1", {"to": 1})
    rows = [{"_id": n, "to": n % 7, "kind": "xyz"[n % 3]} for n in range(others)]
    stored.insert("shop", "others", [*rows, {"_id": "none"}, {"_id": "many", "to": [1, 2.0]}])
    documents = [{"_id": n, **({"to": n} if n % 5 else {})} for n in range(20)]
    spec = {"localField": "to", "foreignField": "to"}
    how = ("others", "found", {}, pipeline, spec)
    context = aggregate.PipelineContext(stored, "shop")
    found = join(context, documents, *how)
    assert found == join_each(context, documents, *how)
    assert [each["_id"] for each in found[5]["found"]][-1] == "none"


@pytest.mark.parametrize("names", [{"a": 1, "_id": 0}, {"a.b": 1}, {"a": {"b": 1}}, {"c": 0}])
def test_fields_that_are_asked_for_again_are_the_same(names: dict[str, Any]) -> None:
    document = {"_id": 1, "a": [{"b": 1, "c": 2}], "c": 3}
    expected = projection.apply_projection_plan(document, compile_projection(names))
    for _ in range(2):
        plan = known_projection(names)
        assert projection.apply_projection_plan(document, plan) == expected
