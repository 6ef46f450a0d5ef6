"""`script/bench --growth night`: what the night takes in a grown shop, and what is idle all day.

In the shops of `bench.shops`, with all that belongs to their enrollments (`bench.night_data`). The
steps that ask Stripe or an LMS are left out: they take as long as those do.
"""

from argparse import Namespace

from bench import shops
from bench.shops import VERDICTS, Shop, Took
from script.servers import Services

WHAT = "the steps of the night, an idle sweep, and /metrics, at a million enrollments"
NIGHT_SECONDS, NIGHT_MB = 300, 200
IDLE_SECONDS = 0.010
MOST_GROWTH = 2
RUNS = 20
Found = dict[str, Took]


def report_night(found: Found) -> tuple[list[str], bool]:
    """Return the lines about the night, and whether its goals are met."""
    lines = [f"\n{'the night':62}{'s':>9}{'CPU s':>9}{'statements':>12}{'peak MB':>9}"]
    for name, took in found.items():
        lines.append(
            f"{name:62}{took['seconds']:9.2f}{took['cpu']:9.2f}{took['statements']:12,.0f}"
            f"{took['peak']:9.0f}"
        )
    cpu = sum(took["cpu"] for took in found.values())
    peak = max(took["peak"] for took in found.values())
    is_met = cpu <= NIGHT_SECONDS and peak <= NIGHT_MB
    goal = f"(≤ {NIGHT_SECONDS} s of CPU and ≤ {NIGHT_MB} MB)"
    total = f"{'all of it':62}{'':9}{cpu:9.2f}{'':12}{peak:9.0f}"
    return [*lines, f"{total}   {VERDICTS[is_met]} {goal}"], is_met


def report_all_day(idle: Found, asked: dict[int, Found]) -> tuple[list[str], bool]:
    """Return the lines about what is done and asked all day, and whether its goals are met."""
    misses = 0
    lines = [f"\n{'an idle sweep':62}{'CPU ms':>9}{'statements':>12}"]
    for name, took in idle.items():
        is_met = took["cpu"] <= IDLE_SECONDS
        misses += not is_met
        line = f"{name:62}{took['cpu'] * 1000:9.2f}{took['statements']:12,.0f}"
        lines.append(line if is_met else f"{line}   MISSED (≤ {IDLE_SECONDS * 1000:.0f} ms)")
    small, grown = asked.values()
    heads = "".join(f"{size:>11,}" for size in asked)
    lines.append(f"\n{'what monitors ask, CPU ms by enrollments':62}{heads}   growth")
    for name, before in small.items():
        growth = grown[name]["cpu"] / before["cpu"]
        is_met = growth <= MOST_GROWTH
        misses += not is_met
        costs = f"{before['cpu'] * 1000:11.2f}{grown[name]['cpu'] * 1000:11.2f}"
        lines.append(f"{name:62}{costs}   {growth:5.2f}× {VERDICTS[is_met]}")
    return lines, not misses


def run(services: Services, options: Namespace) -> bool:
    """Measure and print; return whether every goal is met."""
    return shops.run("bench.night_data", "bench.night_calls", _report, services, options)


def _report(small: Shop, grown: Shop) -> bool:
    # The night first: it deletes what the sweep would else find.
    night, is_night_met = report_night(_measured(grown, "night", 1))
    print("\n".join(night), flush=True)
    asked = {shop.size: _measured(shop, "asked", RUNS) for shop in (small, grown)}
    day, is_day_met = report_all_day(_measured(grown, "idle", RUNS), asked)
    print("\n".join(day), flush=True)
    return is_night_met and is_day_met


def _measured(shop: Shop, kind: str, runs: int) -> Found:
    names = [name for name in shop.names() if name.startswith(f"{kind}: ")]
    return {name.removeprefix(f"{kind}: "): shop.measure(name, runs) for name in names}
