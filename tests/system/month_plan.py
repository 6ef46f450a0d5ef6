"""The plan of a month: which buyer does what in which hour, and in which hours the webhook is deaf.

All of it follows from one seed. What happens to one payment happens on different days, because the
events of one day may reach us in any order.
"""

import random
from collections import defaultdict
from dataclasses import dataclass, replace

DAYS, HOURS = 40, 24
NIGHT = 23  # the hour of the nightly steps
BUSY_HOURS = 3  # of a day, in which somebody does something
PRICES = {"bees": 49900, "honey": 12345, "wax": 100}  # minor units, by course
RATES = {"": 0, "tenth": 1000, "seventh": 1429, "third": 3333}  # basis points, by affiliate
# Of an endpoint that refuses, Stripe lists what it could not deliver; of a disabled one, nothing.
HEARING, REFUSING, DISABLED = "hearing", "refusing", "disabled"
DEAF_DAYS = {**dict.fromkeys(range(11, 16), REFUSING), **dict.fromkeys(range(34, 39), DISABLED)}
DELAYED = "delayed_"
SOON, WEEKS = (1, 6), (7, 20)


@dataclass(frozen=True)
class Buyer:
    email: str
    course: str
    affiliate: str


@dataclass(frozen=True)
class Step:
    """One thing that a buyer, their bank or our staff do, so many days after the step before.

    `percent` is how much of the price it is about, and 0 stands for the rest.
    """

    what: str
    how: str
    days: tuple[int, int] = SOON
    percent: int = 100
    delay: int = 0  # how long a bank takes for a debit, in seconds
    buyer: Buyer = Buyer("", "", "")


def buy(how: str = "paid", *, last_day: int = DAYS - 1) -> Step:
    return Step("buy", how, (0, last_day))


def buy_again() -> Step:
    return Step("buy", "paid")


def pay_late() -> Step:
    """Stripe takes the payment of a session that has expired."""
    return Step("pay", "paid_late")


def refund(how: str = "succeeded", percent: int = 100, days: tuple[int, int] = SOON) -> Step:
    """A refund in Stripe's dashboard, and how it begins."""
    return Step("refund", how, days, percent)


def ask_for_refund(how: str = "succeeded", percent: int = 100) -> Step:
    """A refund that our staff ask for."""
    return Step("ask_for_refund", how, SOON, percent)


def end_refund(how: str, days: tuple[int, int] = SOON) -> Step:
    return Step("end_refund", how, days)


def dispute(how: str = "needs_response", days: tuple[int, int] = SOON) -> Step:
    return Step("dispute", how, days)


def decide(how: str, days: tuple[int, int] = WEEKS) -> Step:
    return Step("decide", how, days)


WARN = Step("warn", "made_with_stolen_card")
# How many buyers have each history.
HISTORIES: tuple[tuple[int, tuple[Step, ...]], ...] = (
    (15, (buy("left"),)),
    (72, (buy(),)),
    (10, (buy("declined, then paid"),)),
    (6, (buy("left", last_day=30), buy_again())),
    (5, (buy("left", last_day=30), pay_late())),
    (24, (buy("delayed_success"),)),
    (16, (buy("delayed_failure"),)),
    # --- refunds, whole and in parts
    (20, (buy(), refund())),
    (14, (buy(), ask_for_refund())),
    (8, (buy("delayed_success"), refund(days=(7, 12)))),
    (10, (buy(), ask_for_refund(percent=37))),
    (12, (buy(), refund(percent=33), ask_for_refund(percent=0))),
    # --- refunds that are settled or fail days later, also after they had succeeded
    (12, (buy(), ask_for_refund("pending"), end_refund("succeed"))),
    (8, (buy(), refund("pending"), end_refund("fail"))),
    (5, (buy(), ask_for_refund("pending", 50), end_refund("cancel"))),
    (9, (buy(), refund(), end_refund("fail", WEEKS))),
    (5, (buy(), ask_for_refund(), end_refund("fail", WEEKS), refund(percent=80))),
    # --- disputes and inquiries
    (8, (buy(), dispute(), decide("won"))),
    (8, (buy(), dispute(), decide("lost"))),
    (4, (buy(), refund(percent=40), dispute(), decide("under_review", SOON), decide("lost"))),
    (6, (buy(), dispute("warning_needs_response"), decide("warning_closed"))),
    (
        5,
        (
            buy(),
            dispute("warning_needs_response"),
            decide("needs_response", SOON),
            decide("lost", SOON),
        ),
    ),
    # --- early warnings of fraud
    (5, (buy(), WARN)),
    (6, (buy(), WARN, refund())),
    (4, (buy(), WARN, refund(percent=25))),
    (5, (buy(), WARN, dispute(), decide("won"))),
    (5, (buy(), WARN, dispute(), decide("lost"))),
    # --- so slow that no list of what was made lately names them when they end, while the endpoint
    # --- is disabled
    (2, (buy(last_day=0), refund("requires_action", days=(1, 1)), end_refund("succeed", (35, 36)))),
    (2, (buy(last_day=0), refund("requires_action", days=(1, 1)), end_refund("fail", (35, 36)))),
    (2, (buy(last_day=0), dispute(days=(1, 2)), decide("won", (34, 35)))),
    (2, (buy(last_day=0), dispute(days=(1, 2)), decide("lost", (34, 35)))),
)
PURCHASES = 300  # and 15 buyers who leave Stripe's page


class Plan:
    """What happens in which hour of which day, and what becomes of the events of that hour."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.hearing = {
            (day, hour): self._hear(day) for day in range(DAYS) for hour in range(HOURS)
        }
        self.busy = [sorted(self._random.sample(range(NIGHT), BUSY_HOURS)) for _ in range(DAYS)]
        self.steps: dict[tuple[int, int], list[Step]] = defaultdict(list)
        histories = [steps for number, steps in HISTORIES for _ in range(number)]
        self._random.shuffle(histories)
        for number, steps in enumerate(histories):
            self._lay_out(self._buyer(number), steps)

    def _hear(self, day: int) -> str:
        is_deaf = self._random.random() < 1 / 3
        return DEAF_DAYS.get(day, REFUSING if is_deaf else HEARING)

    def _buyer(self, number: int) -> Buyer:
        course, affiliate = self._random.choice(list(PRICES)), self._random.choice(list(RATES))
        return Buyer(f"learner{number}@example.com", course, affiliate)

    def _lay_out(self, buyer: Buyer, steps: tuple[Step, ...]) -> None:
        day = 0
        for step in steps:
            day += self._random.randint(*step.days)
            if day < DAYS:
                hour = self._random.choice(self.busy[day])
                # Not a whole hour: the bank is done before a busy hour, not while it goes on.
                delay = self._random.randint(2, 5) * HOURS * 3600 - 1800
                self.steps[day, hour].append(replace(step, buyer=buyer, delay=delay))
