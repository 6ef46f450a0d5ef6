"""One fault: how it is made and mended, and what must be said of it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tests.system.silence.ears import EMAIL, SLACK, WEBHOOK
from tests.system.silence.stage import OneMachine, Stage

ALL_WAYS = (EMAIL, SLACK, WEBHOOK)
NO_MAIL = (SLACK, WEBHOOK)


@dataclass(frozen=True)
class Fault:
    """`make` makes it where it is entered, and mends it where it is left.

    It must be said by `alert`, by each of `ways`, or by a monitor's address that turns to
    `answer`; and where `ends` is not empty, that is said by the same ways when it is mended.
    """

    name: str
    make: Callable[[Stage], AbstractContextManager[None]]
    alert: str = ""
    ways: tuple[str, ...] = ALL_WAYS
    address: str = ""
    answer: str = "503"
    ends: str = ""
    doctor: str = ""
    stage: type[Stage] = OneMachine
    disk: str = ""

    @property
    def must_be_said(self) -> list[tuple[str, str]]:
        if self.alert:
            return [(way, self.alert) for way in self.ways]
        return [(self.address, self.answer)]

    @property
    def must_end(self) -> list[tuple[str, str]]:
        ways = self.ways if self.alert else (self.address,)
        return [(way, self.ends) for way in ways if self.ends]
