import logging
import time

import pytest
from django.core.cache import caches

from maaledu.cooldown import Cooldown
from tests.processes import free_port

pytestmark = pytest.mark.no_database


@pytest.fixture
def lost(settings, monkeypatch):
    """A Redis that is not there."""
    monkeypatch.setattr(Cooldown, "until", 0.0)
    settings.CACHES = {
        "default": {
            "BACKEND": "maaledu.cache.ForgivingRedisCache",
            "LOCATION": f"redis://127.0.0.1:{free_port()}/0",
        }
    }
    return caches["default"]


def test_a_lost_cache_reads_as_empty(lost):
    assert lost.get("a") is None
    assert lost.get("a", "default") == "default"
    assert lost.get_many(["a", "b"]) == {}
    assert lost.has_key("a") is False
    assert "a" not in lost


def test_a_lost_cache_takes_what_it_is_given(lost):
    assert lost.set("a", 1) is None
    assert lost.set_many({"a": 1}) == []
    assert lost.add("a", 1) is True
    assert lost.incr("a") == 1
    assert lost.delete("a") is False
    assert lost.delete_many(["a"]) is None
    assert lost.touch("a") is False


def test_a_lost_cache_is_not_asked_again_for_a_moment(lost, caplog):
    with caplog.at_level(logging.ERROR, logger="maaledu.cache"):
        logging.getLogger("maaledu.cache").propagate = True
        lost.get("a")
        started = time.monotonic()
        for _ in range(1000):
            lost.get("a")
    assert time.monotonic() - started < 0.5
    assert Cooldown.until > time.monotonic()
    assert [record.message for record in caplog.records] == [
        "the cache is down or full; the database counts what must be limited"
    ]
