"""A state machine of Hypothesis over an empty database, which verifies the invariants after each
step at a fraction of the cost.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection
from hypothesis.stateful import RuleBasedStateMachine

from operations import invariants
from tests.cleaning import empty_database
from tests.holding import Check, Reading, reading_of, tables_in


class Verifier:
    """Verifies the invariants again and again while `watched` lasts: a check is run anew when a
    table that it read has been written to since and its statements are answered otherwise, and has
    otherwise found the same.

    It does not see what other threads write. MongoDB is asked everything each time.
    """

    def __init__(self) -> None:
        self._readings: dict[Check, Reading] = {}
        self._in_doubt: set[Check] = set()

    @contextmanager
    def watched(self) -> Iterator[None]:
        with connection.execute_wrapper(self._note):
            yield

    def verify(self) -> list[str]:
        if connection.vendor == "mongodb":
            return invariants.verify()
        for check in invariants.CHECKS:
            known = self._readings.get(check)
            if known is None or (check in self._in_doubt and not known.is_same()):
                self._readings[check] = reading_of(check)
        self._in_doubt.clear()
        return [line for check in invariants.CHECKS for line in self._readings[check].found]

    def verify_written_elsewhere(self) -> list[str]:
        """Verify, where other threads or processes have written, too: every check's statements are
        asked again, and it is run anew when one is answered otherwise.
        """
        self._in_doubt.update(invariants.CHECKS)
        return self.verify()

    def _note(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        if not str(sql).startswith("SELECT"):
            touched = tables_in(str(sql))
            self._in_doubt |= {
                check for check, reading in self._readings.items() if reading.tables & touched
            }
        return execute(sql, params, many, context)


class VerifiedMachine(RuleBasedStateMachine):
    """Begins with an empty database, and ends with the proof that nothing was overlooked."""

    def __init__(self) -> None:
        super().__init__()
        self._verifier = Verifier()
        self._watch = self._verifier.watched()
        self._watch.__enter__()
        empty_database()

    def verify(self) -> list[str]:
        """Return what does not hold of the invariants."""
        return self._verifier.verify()

    def teardown(self) -> None:
        self._watch.__exit__(None, None, None)
        assert self.verify() == invariants.verify()
