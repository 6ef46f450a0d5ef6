"""The goals, and how what was measured is said."""

from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

PAGE, WRITE, SDK, CHECKOUT = "bare page", "bare write", "Stripe's SDK alone", "checkout POST"
FREE_CHECKOUT = "free checkout with a coupon"


@dataclass(frozen=True)
class Goal:
    """At least `share` of the requests that the bare view serves in the same CPU time, with at most
    so many statements.
    """

    to: str
    share: float | None = None
    statements: int | None = None
    transactions: int | None = None


GOALS = {
    "catalogue, cached": Goal(PAGE, 0.75, 0, 0),
    "catalogue, cached, with Redis": Goal(PAGE, 0.50, 0, 0),
    "catalogue, from Redis each time": Goal(PAGE, 0.50, 0, 0),
    "catalogue, uncached": Goal(PAGE, 0.15, 2),
    "course page, cached": Goal(PAGE, None, 0, 0),
    "course page, uncached": Goal(PAGE),
    CHECKOUT: Goal(WRITE, 0.40, 5, 1),
    "coupon quote": Goal(PAGE, None, 3, 0),
    FREE_CHECKOUT: Goal(WRITE, None, 9, 1),
    "webhook, fulfilled": Goal(WRITE, 0.28, 7, 1),
}


@dataclass
class Measured:
    """One case over all rounds: the CPU time per request of each round, every wall time, and the
    counts of one request.
    """

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    statements: int = 0
    transactions: int = 0

    def add(self, answer: dict[str, Any]) -> None:
        self.cpu.append(answer["cpu"])
        self.wall.extend(answer["wall"])

    def __str__(self) -> str:
        cuts = quantiles(self.wall, n=100)
        return f"{median(self.cpu):6.0f}   {cuts[49] / 1000:7.2f} {cuts[98] / 1000:7.2f}"


def report(engine: str, found: dict[str, Measured]) -> list[str]:
    """Return the lines to print about one engine."""
    lines = [
        f"\n{engine}",
        f"{'':32}  CPU µs    p50 ms  p99 ms    ratio  goal   statements   transactions",
    ]
    for name, measured in found.items():
        goal = GOALS.get(name)
        lines.append(f"{name:<32}  {measured}" + (_against(goal, measured, found) if goal else ""))
    return [*lines, _share_of_sdk(found[SDK], found[CHECKOUT], found[WRITE])]


def _share_of_sdk(sdk: Measured, checkout: Measured, write: Measured) -> str:
    part = median(theirs / ours for theirs, ours in zip(sdk.cpu, checkout.cpu, strict=True))
    without = median(
        base / (ours - theirs)
        for base, ours, theirs in zip(write.cpu, checkout.cpu, sdk.cpu, strict=True)
    )
    return (
        f"Of the checkout POST, {part:.0%} is Stripe's SDK; the rest alone has a ratio of"
        f" {without:.0%}."
    )


def _against(goal: Goal, measured: Measured, found: dict[str, Measured]) -> str:
    ratio = median(base / ours for base, ours in zip(found[goal.to].cpu, measured.cpu, strict=True))
    aim = f"{goal.share:4.0%}" if goal.share else "   -"
    counts = [(measured.statements, goal.statements), (measured.transactions, goal.transactions)]
    missed = [f"ratio by {goal.share - ratio:.1%}"] if goal.share and ratio < goal.share else []
    missed += [
        f"{number} instead of {most}"
        for number, most in counts
        if most is not None and number > most
    ]
    verdict = (
        f"MISSED: {', '.join(missed)}"
        if missed
        else "met"
        if goal.share or goal.statements is not None
        else ""
    )
    shown = "   ".join(
        f"{number:>4} {'' if most is None else f'(≤ {most})':<6}" for number, most in counts
    )
    return f"    {ratio:5.0%}  {aim}   {shown} {verdict}"
