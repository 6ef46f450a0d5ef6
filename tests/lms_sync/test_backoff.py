from datetime import timedelta

import pytest
from django.conf import settings

from lms_sync.backoff import backoff

pytestmark = pytest.mark.no_database

MINUTE = timedelta(minutes=1)


def test_the_second_attempt_follows_after_two_seconds_exactly() -> None:
    assert {backoff(1) for _ in range(20)} == {timedelta(seconds=2)}


@pytest.mark.parametrize(("failures", "minutes"), [(2, 2), (3, 4), (4, 8), (5, 16), (6, 32)])
def test_background_attempts_wait_2_4_8_16_32_minutes_give_or_take_a_tenth(
    failures: int, minutes: int
) -> None:
    pauses = [backoff(failures) for _ in range(300)]
    assert all(
        minutes * MINUTE * 0.9 <= pause <= minutes * MINUTE * 1.1 for pause in pauses if pause
    )
    assert None not in pauses
    assert max(p for p in pauses if p) - min(p for p in pauses if p) > minutes * MINUTE * 0.15


@pytest.mark.parametrize("failures", [7, 8, 100])
def test_after_the_seventh_attempt_there_is_no_other(failures: int) -> None:
    assert backoff(failures) is None


def test_no_pause_is_longer_than_an_hour() -> None:
    assert all(
        (backoff(n) or timedelta(0)) <= settings.LMS_BACKOFF_LONGEST == timedelta(minutes=60)
        for n in range(1, 10)
    )
