"""What somebody could guess is limited while Redis is gone or full (issue 10, "Limits hold")."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from django.core.cache import caches
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from maaledu import limit_counts
from maaledu.cooldown import Cooldown
from maaledu.models import LimitCount
from tests.concurrency import race
from tests.factories import make_course
from tests.processes import free_port
from tests.redis_server import redis_server

USAGE = {"limit": 10, "time_left": 60, "count": 1, "should_limit": False}


@pytest.fixture
def cache_at(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """Have the cache at this port."""

    def use(port: int) -> None:
        monkeypatch.setattr(Cooldown, "until", 0.0)
        settings.CACHES = {
            name: {
                "BACKEND": "maaledu.cache.ForgivingRedisCache",
                "LOCATION": f"redis://127.0.0.1:{port}/0",
            }
            for name in ("default", "pages")
        }

    return use


@pytest.fixture
def full_redis(tmp_path: Path) -> Iterator[int]:
    with (
        redis_server(tmp_path, "--maxmemory", "2mb") as port,
        redis.Redis(port=port) as client,
    ):
        assert _filled(client)
        yield port


def _filled(client: redis.Redis) -> bool:
    """Write until it is full."""
    try:
        for number in range(100):
            client.set(f"filler {number}", b"x" * 100_000)
    except redis.exceptions.OutOfMemoryError:
        return True
    return False


def sign_in(number: int, email: str = "ada@example.com") -> int:
    """Try a wrong password from an address of its own, and return the status."""
    client = Client(REMOTE_ADDR=f"203.0.113.{number}")
    form = {"login": email, "password": f"wrong-password-{number}"}
    return client.post("/accounts/login/", form).status_code


@pytest.mark.any_engine
@pytest.mark.django_db
def test_ten_wrong_passwords_then_refused_while_redis_is_gone(cache_at) -> None:
    cache_at(free_port())
    assert [sign_in(number) for number in range(1, 13)] == [200] * 10 + [429] * 2
    assert sign_in(13, "bob@example.com") == 200


@pytest.mark.any_engine
@pytest.mark.django_db
def test_ten_wrong_passwords_then_refused_while_redis_is_full(cache_at, full_redis: int) -> None:
    cache_at(full_redis)
    assert [sign_in(number) for number in range(1, 13)] == [200] * 10 + [429] * 2
    assert caches["default"].get("anything") is None


@pytest.mark.any_engine
@pytest.mark.django_db
def test_coupon_codes_cannot_be_guessed_while_redis_is_gone(cache_at) -> None:
    cache_at(free_port())
    url = f"/checkout/{make_course().slug}/coupon/"
    form = {"email": "ada@example.com", "coupon": "MAAL-AAAA-BBBB-CCCC"}
    client = Client(REMOTE_ADDR="203.0.113.77")
    assert [client.post(url, form).status_code for _ in range(6)] == [409] * 5 + [429]


@pytest.mark.django_db
def test_attempts_at_the_same_moment_are_all_counted() -> None:
    ends = int(time.time()) + USAGE["time_left"]

    def usage() -> dict[str, int]:
        """Return what is left of one period, as the limit itself says it."""
        return {**USAGE, "time_left": ends - int(time.time())}

    states = race(lambda _: limit_counts.count("login:ada", usage()), threads=16)
    assert max(state["count"] for state in states) == 16
    assert LimitCount.objects.get().count == 16
    assert [limit_counts.count("login:ada", usage())["should_limit"]] == [True]
    bob = limit_counts.count("login:bob", usage())
    assert (bob["count"], bob["should_limit"]) == (1, False)


@pytest.mark.any_engine
@pytest.mark.django_db
def test_counts_that_are_over_for_a_day_are_deleted() -> None:
    limit_counts.count("login:ada", USAGE)
    old = LimitCount(pk="old", ends_at=timezone.now() - timedelta(days=1, seconds=1))
    old.save()
    assert limit_counts.forget_lapsed() == 1
    assert list(LimitCount.objects.values_list("count", flat=True)) == [1]
