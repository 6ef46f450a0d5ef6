"""Which invariants can have come to be broken: the others are not asked about after every one of
thousands of tests.
"""

import functools
import re
from collections.abc import Callable

from django.db import connection
from django.test.utils import CaptureQueriesContext

from operations import invariants
from tests.cleaning import filled_tables, tables

Check = Callable[[], list[str]]


@functools.cache
def read_when_empty() -> dict[Check, frozenset[str]]:
    """Return which tables each check reads of an empty database.

    While these are empty it reads the same as then, and so it finds nothing.
    """
    assert filled_tables() == [], "ask before the first test writes anything"
    known, reads = set(tables()), {}
    for check in invariants.CHECKS:
        with CaptureQueriesContext(connection) as captured:
            assert check() == []
        reads[check] = frozenset(
            known.intersection(
                *[{word for query in captured for word in re.findall(r"\w+", query["sql"])}]
            )
        )
    return reads


def worth_asking() -> list[Check]:
    """Return the checks that read a table which holds something, and those of which no table is
    known.
    """
    filled = set(filled_tables())
    return [check for check, reads in read_when_empty().items() if not reads or reads & filled]
