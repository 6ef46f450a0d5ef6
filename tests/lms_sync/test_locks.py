import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError
from django.utils import timezone

from lms_sync import locks
from lms_sync.errors import LmsBusy
from lms_sync.locks import held
from lms_sync.models import SyncLock
from tests.concurrency import kinds, race

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def test_only_one_of_many_holds_a_lock_at_a_time() -> None:
    inside, most = [0], [0]
    guard = threading.Lock()

    def step(_: int) -> bool:
        with held("pair", lease=MINUTE):
            with guard:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            time.sleep(0.3)
            with guard:
                inside[0] -= 1
        return True

    found = kinds(race(step, threads=8))
    assert most == [1]
    assert found["ok"] >= 1
    assert found["ok"] + found["LmsBusy"] == 8


@pytest.mark.any_engine
def test_a_lock_is_given_back_also_when_the_work_fails() -> None:
    with pytest.raises(ZeroDivisionError), held("pair", lease=MINUTE):
        raise ZeroDivisionError
    with held("pair", lease=MINUTE):
        assert SyncLock.objects.count() == 1
    assert SyncLock.objects.count() == 0


def test_whoever_comes_second_is_refused_at_once() -> None:
    with held("pair", lease=MINUTE):
        started = time.monotonic()
        with pytest.raises(LmsBusy) as caught, held("pair", lease=MINUTE):
            pass
        assert time.monotonic() - started < 1
    assert caught.value.retry_after == timedelta(seconds=1)
    assert not caught.value.consumes_attempt


@pytest.mark.any_engine
def test_other_locks_are_not_affected() -> None:
    with held("one", lease=MINUTE), held("two", lease=MINUTE):
        assert SyncLock.objects.count() == 2


def test_the_lock_of_a_lost_worker_is_free_again_after_its_lease() -> None:
    with held("pair", lease=MINUTE):
        SyncLock.objects.update(until=timezone.now() - timedelta(milliseconds=5))
        with held("pair", lease=MINUTE):
            assert SyncLock.objects.count() == 1


def test_a_worker_that_overslept_does_not_release_its_successors_lock() -> None:
    late = held("pair", lease=MINUTE)
    late.__enter__()
    SyncLock.objects.update(until=timezone.now() - timedelta(milliseconds=5))
    with held("pair", lease=MINUTE):
        late.__exit__(None, None, None)
        assert SyncLock.objects.count() == 1


def test_an_expired_lock_is_taken_over_by_one_only() -> None:
    SyncLock.objects.create(key="0" * 64, owner="lost", until=timezone.now())
    with held("pair", lease=MINUTE):
        SyncLock.objects.update(until=timezone.now() - MINUTE)

        def step(_: int) -> bool:
            with held("pair", lease=MINUTE):
                time.sleep(1)
            return True

        assert kinds(race(step, threads=6))["ok"] == 1


def test_the_key_shows_nobodys_address() -> None:
    with held("frappe:course:asha@example.com", lease=MINUTE):
        assert "asha" not in SyncLock.objects.get().key


@pytest.mark.engines("sqlite", "postgres")
def test_a_lock_that_cannot_be_written_is_not_one_that_somebody_has() -> None:
    """Otherwise every job would wait for ever, and nothing would say why (fault O3)."""
    nobody: Any = None
    for take in (
        lambda: locks.acquire("a", owner=nobody, lease=MINUTE),
        lambda: locks.acquire_all(["a"], owner=nobody, lease=MINUTE),
    ):
        with pytest.raises(IntegrityError):
            take()
