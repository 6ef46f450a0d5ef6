"""A month of purchases with a webhook that is often deaf: at the end of each day our books are
Stripe's, and each learner has each mail once.

MONTH_SEED=n plans another month.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faketime import Clock
from tests.sandbox_client import Sandbox
from tests.system.driver import Driver
from tests.system.leaks import leaks_in
from tests.system.month import ALERTS, Month
from tests.system.month_plan import DAYS, HISTORIES, PURCHASES, Plan
from tests.system.shop import Shop

pytestmark = [pytest.mark.django_db, pytest.mark.engines("sqlite")]
SEED = int(os.environ.get("MONTH_SEED", "8"))


@pytest.fixture
def web(timed_shop_processes: Shop, shop_processes: Shop, db: None) -> Iterator[Shop]:
    """The web server of the timed shop, alone."""
    shop_processes.close()
    timed_shop_processes.restart_web(DJANGO_SETTINGS_MODULE="tests.settings_alone")
    yield timed_shop_processes
    assert leaks_in(timed_shop_processes.new_output()) == []


@pytest.fixture
def timed_driver(web: Shop, tmp_path: Path) -> Iterator[Driver]:
    # Nothing is slow here but the machine, and a try that is given up changes who gets which mail.
    patience = dict.fromkeys(
        ("LMS_TIMEOUT_WORKER_SECONDS", "EMAIL_TIMEOUT_SECONDS", "STRIPE_READ_SECONDS"), "30"
    )
    driver = Driver({**web.env, **patience}, tmp_path / "driver.log", "--stay")
    yield driver
    driver.stop()
    assert leaks_in(driver.new_output()) == []


def test_at_the_end_of_each_day_our_books_are_stripes(
    web: Shop, timed_sandbox: Sandbox, timed_driver: Driver, clock: Clock
) -> None:
    month = Month(Plan(SEED), shop=web, sandbox=timed_sandbox, driver=timed_driver, clock=clock)
    for day in range(DAYS):
        print(f"MONTH_SEED={SEED}, day {day}")
        month.live(day)
        month.compare()
    assert len(month.intents) == PURCHASES
    assert len(month.buyers) == sum(number for number, _ in HISTORIES)
    assert month.alerts == ALERTS
    month.run("command", arguments=["verify_invariants"])
