"""The night, an idle sweep and /metrics ask the database the same in a small shop and in a larger
one, whose books are those of `script/bench --growth night`.
"""

from datetime import timedelta
from functools import partial

import pytest
from django.core.cache import cache
from django.utils import timezone

from bench import costs, night_calls
from bench.night_data import fill
from bench.night_shop import YEARS
from operations.invariants import verify
from operations.invariants.reading import Scope
from tests.cleaning import empty_database

pytestmark = [pytest.mark.django_db, pytest.mark.breaks_invariants]


def asked(size: int) -> dict[str, float]:
    """Return how many statements each takes in a shop with so many enrollments."""
    fill(size)
    calls = {name: make_call() for name, make_call in night_calls.CALLS.items()}
    # What changed in three years: in one night of so small a shop it is one enrollment.
    everything = Scope(since=timezone.now() - YEARS - timedelta(days=1))
    calls["night: checking the invariants of what changed"] = partial(verify, scope=everything)
    return {name: costs.measure(call, 1)["statements"] for name, call in calls.items()}


@pytest.mark.engines("sqlite")  # its files are the quickest to fill; Django asks all of them alike
def test_no_step_asks_the_database_more_as_the_shop_grows() -> None:
    few = asked(100)
    empty_database()
    cache.clear()
    assert asked(400) == few
    assert len(few) > 50
