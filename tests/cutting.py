"""For tests which cut a step off at each of its writes: one driver, which has loaded the product,
serves all tests of a module. A module imports these fixtures.
"""

from collections.abc import Callable, Iterator

import pytest

from tests.faults import Faults
from tests.system.driver import Driver


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Faults:
    """As of every test, but for the one driver."""
    return Faults(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="module")
def started() -> Iterator[list[Driver]]:
    """The driver, once the first test has asked for it."""
    drivers: list[Driver] = []
    yield drivers
    for driver in drivers:
        driver.stop()


@pytest.fixture
def cut_step(
    process_env: dict[str, str], faults: Faults, started: list[Driver]
) -> Callable[..., int]:
    """Return a function that runs one step of the driver in a process of its own, killed at its
    n-th write (0: not at all), and returns the exit code.
    """
    if not started:
        log = faults.plan.with_name("driver.log")
        started.append(Driver({**process_env, **faults.environment}, log))

    def run(at: int, step: str, **arguments: object) -> int:
        faults.arm(at)
        finished = started[0].run(step, **arguments)
        faults.disarm()
        assert not finished.raised, finished
        return finished.exit

    return run
