"""What one of the databases would refuse is replaced and named; the rest is left as it is."""

import json
import math

import pytest

from maaledu.storable import DEEPEST, storable

pytestmark = pytest.mark.no_database

CASES = {
    "plain": ({"a": [1, "é", None, True, 0.5, {"b": ""}]}, []),
    "the ends of 64 bits": ([2**63 - 1, -(2**63) + 1], []),
    "one beyond them": ([2**63, -(2**63) - 1], ["0", "1"]),
    "NUL": ({"a": "x\0y"}, ["a"]),
    "the first and the last surrogate": (["\ud800", "\udfff"], ["0", "1"]),
    "characters beyond 16 bits": (["😀"], []),
    "no numbers": ([float("nan"), float("inf"), float("-inf")], ["0", "1", "2"]),
    "a key": ({"a": {"b\0": "\0"}}, ["a.b\ufffd", "a.b\ufffd"]),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_replaced_is_named(name: str) -> None:
    value, paths = CASES[name]
    kept, replaced = storable(value)
    assert replaced == paths
    assert (kept == value) is (paths == [])
    assert storable(kept) == (kept, [])
    json.dumps(kept, allow_nan=False).encode()


def test_replacements() -> None:
    kept, _ = storable({"t": "a\0b\ud800", "n": math.inf, "i": 10**20, "k\0": 1})
    assert kept == {"t": "a\ufffdb\ufffd", "n": "inf", "i": "1" + "0" * 20, "k\ufffd": 1}


def test_what_nests_too_deep_is_cut_off_where_it_begins_to() -> None:
    value: object = 1
    for _ in range(DEEPEST + 1):
        value = [value]
    kept, replaced = storable(value)
    assert replaced == [".".join("0" * DEEPEST)]
    assert storable(value[0]) == (value[0], [])
    for _ in range(DEEPEST):
        [kept] = kept
    assert kept is None
