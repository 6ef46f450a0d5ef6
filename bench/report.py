"""The goals, and how what was measured is printed."""

from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

PAGE, WRITE, SDK = "bare page", "bare write", "Stripe's SDK alone"
COUNTING = "counting a request"
CHECKOUT, WEBHOOK = "checkout POST", "webhook, fulfilled"
FREE_CHECKOUT = "free checkout with a coupon"
# The view of bench.plain that each of these is compared with, and the most it may cost of it.
PLAIN = {CHECKOUT: "checkout POST, plain view", WEBHOOK: "webhook, plain view"}
MOST_OF_PLAIN = 1.15
MOST_FOR_COUNTING = 0.01  # of a bare page


@dataclass(frozen=True)
class Goal:
    """The least share of the bare view's requests in the same CPU time, and the most statements."""

    to: str
    share: float | None = None
    statements: int | None = None
    transactions: int | None = None


GOALS = {
    "catalogue, cached": Goal(PAGE, 0.75, 0, 0),
    "catalogue, cached, with Redis": Goal(PAGE, 0.50, 0, 0),
    "catalogue, from Redis each time": Goal(PAGE, 0.50, 0, 0),
    "catalogue, uncached": Goal(PAGE, None, 2),
    "course page, cached": Goal(PAGE, None, 0, 0),
    "course page, uncached": Goal(PAGE),
    CHECKOUT: Goal(WRITE, None, 5, 1),
    "coupon quote": Goal(PAGE, None, 3, 0),
    FREE_CHECKOUT: Goal(WRITE, None, 9, 1),
    WEBHOOK: Goal(WRITE, None, 7, 1),
}


@dataclass
class Measured:
    """What was measured of one case over all rounds.

    `cpu` holds the CPU time per request of each round and `each` that of each request, `wall` every
    wall time, all in µs; the counts are of one request.
    """

    cpu: list[float] = field(default_factory=list)
    each: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    statements: int = 0
    transactions: int = 0

    def add(self, answer: dict[str, Any]) -> None:
        self.cpu.append(answer["cpu"])
        self.each.extend(answer.get("each", ()))
        self.wall.extend(answer["wall"])

    def __str__(self) -> str:
        cuts = quantiles(self.wall, n=100)
        return f"{median(self.cpu):6.0f}   {cuts[49] / 1000:7.2f} {cuts[98] / 1000:7.2f}"


Found = dict[str, Measured]


def report(engine: str, found: Found) -> list[str]:
    """Return the lines to print about one engine."""
    lines = [
        f"\n{engine}",
        f"{'':32}  CPU µs    p50 ms  p99 ms    ratio  goal   statements   transactions",
    ]
    for name, measured in found.items():
        goal = GOALS.get(name)
        lines.append(f"{name:<32}  {measured}" + (_against(goal, measured, found) if goal else ""))
    plain = [_against_plain(name, found) for name in PLAIN]
    sdk = _share_of_sdk(found[SDK], found[CHECKOUT], found[WRITE])
    return [*lines, *plain, sdk, _share_of_counting(found[COUNTING], found[PAGE])]


def _against(goal: Goal, measured: Measured, found: Found) -> str:
    ratio = _median_ratio(found[goal.to].cpu, measured.cpu)
    aim = f"{goal.share:4.0%}" if goal.share else "   -"
    counts = [(measured.statements, goal.statements), (measured.transactions, goal.transactions)]
    shown = "   ".join(
        f"{number:>4} {'' if most is None else f'(≤ {most})':<6}" for number, most in counts
    )
    return f"    {ratio:5.0%}  {aim}   {shown} {_verdict(goal, ratio, counts)}"


def _verdict(goal: Goal, ratio: float, counts: list[tuple[int, int | None]]) -> str:
    missed = [f"ratio by {goal.share - ratio:.1%}"] if goal.share and ratio < goal.share else []
    missed += [
        f"{number} instead of {most}"
        for number, most in counts
        if most is not None and number > most
    ]
    if missed:
        return f"MISSED: {', '.join(missed)}"
    return "met" if goal.share or goal.statements is not None else ""


def _against_plain(name: str, found: Found) -> str:
    ours, plain = found[name], found[PLAIN[name]]
    # They answered request by request in turn, so the medians met the same load of the machine.
    ratio = median(ours.each) / median(plain.each)
    is_same = (ours.statements, ours.transactions) == (plain.statements, plain.transactions)
    verdict = "MISSED" if ratio > MOST_OF_PLAIN else "met"
    return (
        f"The {name} takes {ratio:.2f} of the CPU time of a plain view"
        f" (≤ {MOST_OF_PLAIN}): {verdict}{'' if is_same else '; its statements are not the same'}."
    )


def _share_of_sdk(sdk: Measured, checkout: Measured, write: Measured) -> str:
    rest = [ours - theirs for ours, theirs in zip(checkout.cpu, sdk.cpu, strict=True)]
    return (
        f"Of the checkout POST, {_median_ratio(sdk.cpu, checkout.cpu):.0%} is Stripe's SDK; the"
        f" rest alone has a ratio of {_median_ratio(write.cpu, rest):.0%}."
    )


def _share_of_counting(counting: Measured, page: Measured) -> str:
    share = _median_ratio(counting.cpu, page.cpu)
    verdict = "MISSED" if share > MOST_FOR_COUNTING else "met"
    return (
        f"Counting a request for /metrics takes {share:.2%} of the CPU time of a bare page"
        f" (≤ {MOST_FOR_COUNTING:.0%}): {verdict}."
    )


def _median_ratio(these: list[float], those: list[float]) -> float:
    """Compare round with round: what slowed the machine down in one slowed both of them down."""
    return median(this / that for this, that in zip(these, those, strict=True))
