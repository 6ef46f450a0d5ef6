from tests.accounts.conftest import amina, visitor
from tests.affiliates.conftest import boss, office
from tests.enrollments.conftest import _invariants_hold, buyer

__all__ = ["_invariants_hold", "amina", "boss", "buyer", "office", "visitor"]
