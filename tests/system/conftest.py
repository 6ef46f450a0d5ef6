"""Real processes: the web server, the worker, the sandbox. Which engine a test is for is said by
the mark `engines`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import connection

from enrollments.models import Enrollment
from lms_sync.models import SyncJob
from notifications.models import Alert, Email
from operations import invariants
from operations.models import DayFigures, Trouble
from payments.models import Payment, StripeEvent
from tests.engines import url_of_test_database
from tests.faketime import Clock, remove_leftovers
from tests.faults import Faults
from tests.sandbox_client import Sandbox

pytest.register_assert_rewrite(
    "tests.system.books", "tests.system.money_books", "tests.system.month"
)
from tests.system.books import broken_invariants, note_that_all_parts_are_alive
from tests.system.driver import Driver
from tests.system.leaks import leaks_in
from tests.system.shop import CeleryShop, Shop, environment


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the open shop behind all others: it is opened once, and its workers do not
    look for work beside tests that have no use for them.
    """
    items.sort(key=needs_open_shop)


def needs_open_shop(item: pytest.Item) -> bool:
    in_here = Path(__file__).parent in item.path.parents
    return in_here and "shop" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[Sandbox]:
    with Sandbox(
        courses_any=True, async_delay=0.2, webhook_retry_base=0.3, lms_user_limit=1_000_000
    ) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(sandbox_process: Sandbox) -> Sandbox:
    """Stripe, the LMS and the mailbox, empty and well; no webhook is sent before a test says where
    to.
    """
    sandbox_process.reset()
    sandbox_process.webhooks(hold=True)
    return sandbox_process


@pytest.fixture(scope="session")
def system_env(django_db_setup: None, sandbox_process: Sandbox) -> dict[str, str]:
    """Return the environment of the product's own processes: this run's database and sandbox, and
    short times.
    """
    url = url_of_test_database(connection.settings_dict, django_settings.DATABASE_URL)
    return environment(url, sandbox_process)


@pytest.fixture(scope="session")
def fault_plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory through which the driver's processes are told where to be cut."""
    return tmp_path_factory.mktemp("faults")


@pytest.fixture
def faults(fault_plan: Path) -> Faults:
    return Faults(fault_plan)


@pytest.fixture(scope="session")
def shop_processes(
    system_env: dict[str, str], sandbox_process: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """The processes that this engine is run with: several machines' worth on PostgreSQL, one
    machine's otherwise.
    """
    kind = CeleryShop if connection.vendor == "postgresql" else Shop
    shop = kind(system_env, sandbox_process, tmp_path_factory.mktemp("shop"))
    yield shop
    shop.close()


@pytest.fixture
def shop(shop_processes: Shop, sandbox: Sandbox, db: None) -> Iterator[Shop]:
    """The shop, open, with nothing sold yet. Whatever a test does: every invariant holds, and no
    log holds a secret.
    """
    shop = shop_processes.open()
    note_that_all_parts_are_alive()
    # Of what was silent while the database was empty; and days that were counted with it.
    for model in (Trouble, Alert, Email, DayFigures):
        model.objects.all().delete()
    yield shop
    assert broken_invariants() == invariants.verify() == []
    assert leaks_in(shop_processes.new_output()) == []


@pytest.fixture(scope="session")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clock]:
    """The time of `timed_shop` and `timed_sandbox`: `clock.advance(days=30)`. It never goes back,
    so each test begins when the one before it ended.
    """
    yield Clock(tmp_path_factory.mktemp("clock"))
    remove_leftovers()


@pytest.fixture(scope="session")
def timed_sandbox_process(clock: Clock) -> Iterator[Sandbox]:
    with Sandbox(
        courses_any=True, webhook_retry_base=0.3, environment=clock.environment
    ) as sandbox:
        yield sandbox


@pytest.fixture
def timed_sandbox(timed_sandbox_process: Sandbox) -> Sandbox:
    timed_sandbox_process.reset()
    timed_sandbox_process.webhooks(hold=True)
    return timed_sandbox_process


@pytest.fixture(scope="module")
def timed_shop_processes(
    system_env: dict[str, str],
    clock: Clock,
    timed_sandbox_process: Sandbox,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shop]:
    env = environment(system_env["DATABASE_URL"], timed_sandbox_process) | clock.environment
    shop = Shop(env, timed_sandbox_process, tmp_path_factory.mktemp("timed-shop"))
    yield shop
    shop.close()


@pytest.fixture
def timed_shop(
    timed_shop_processes: Shop, timed_sandbox: Sandbox, shop_processes: Shop, db: None
) -> Iterator[Shop]:
    """The shop whose processes and sandbox take the time from `clock`; nothing sold yet. What asks
    for the time runs as a command of this shop, `timed_shop.manage("nightly")`: this process keeps
    the real one. No process with another time works on the database meanwhile.
    """
    shop_processes.close()
    yield timed_shop_processes.open()
    timed_shop_processes.manage("verify_invariants")


@pytest.fixture(scope="session")
def drivers(system_env: dict[str, str], fault_plan: Path) -> Iterator[dict[str, Driver]]:
    # No figures: their writes come by the clock, and writes are counted.
    figureless = {"LMS_FIGURES_SECONDS": "86400"}
    env = {**system_env, **Faults(fault_plan).environment, **figureless}
    drivers = {
        name: Driver(env, fault_plan / f"driver{name}.log", *name.split())
        for name in ("", "--stay")
    }
    yield drivers
    for driver in drivers.values():
        driver.stop()


@pytest.fixture
def driver(drivers: dict[str, Driver], shop_processes: Shop, db: None) -> Iterator[Driver]:
    """Runs each step in a process of its own, which may be cut. No other process works on the
    database meanwhile.
    """
    shop_processes.close()
    yield drivers[""]
    assert broken_invariants() == invariants.verify()
    assert leaks_in(drivers[""].new_output()) == []


@pytest.fixture
def survivor(drivers: dict[str, Driver]) -> Driver:
    """Runs each step in one process, which serves on while others are cut."""
    return drivers["--stay"]


@pytest.fixture
def port(shop: Shop) -> Iterator[int]:
    """The live server's port. After the test nothing may have been sold, stored or queued by it."""
    yield shop.port
    for model in (Enrollment, Payment, StripeEvent, SyncJob, Email):
        assert model.objects.count() == 0, f"{model.__name__} was changed"
