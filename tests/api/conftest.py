import pytest

from tests.enrollments.conftest import _invariants_hold, buyer

__all__ = ["_invariants_hold", "buyer"]


@pytest.fixture(autouse=True)
def _many_calls(settings) -> None:
    """Limits have tests of their own."""
    settings.RATE_LIMITS = dict.fromkeys(settings.RATE_LIMITS, "1000/1m")
