"""`script/bench --growth office`: what staff wait for in a grown shop, beside a shop of a thousand.

The home, a learner, and of each list the pages, filters, sorts, searches and files: at most eight
statements each, and at most twice the CPU time of the smaller shop, the database's included.
Nothing is kept.
"""

import tempfile
from argparse import Namespace
from pathlib import Path

from bench.night import SIZES, SMALL, VERDICTS, Shop
from script.servers import Services

WHAT = "the office's pages, lists, searches and files, at a million enrollments"
MOST_STATEMENTS = 8
MOST_GROWTH, MOST_GROWTH_OF_SEARCHES = 2, 3
RUNS, LOOKS = 2, 3
Costs = list[dict[str, float]]


class OfficeShop(Shop):
    data, calls = "bench.office_data", "bench.office_calls"

    def ask(self, name: str) -> dict[str, float]:
        assert self.probe
        return self.probe.ask("measure", name, RUNS)


def compare(small: OfficeShop, grown: OfficeShop) -> tuple[list[str], bool]:
    """Ask both in turn; return the lines to print, and whether every goal is met."""
    assert small.probe
    assert grown.probe
    names = [
        name for name in grown.probe.ask("names", "", 0) if name in small.probe.ask("names", "", 0)
    ]
    lines = [
        f"\n{'CPU ms by enrollments':72}{small.size:>11,}{grown.size:>11,}   growth   statements"
    ]
    misses = 0
    for name in names:
        line, is_met = _line(name, small, grown)
        misses += not is_met
        lines.append(line)
    return [*lines, f"{len(names)} of them, {misses} missed"], not misses


def _line(name: str, small: OfficeShop, grown: OfficeShop) -> tuple[str, bool]:
    most = MOST_GROWTH_OF_SEARCHES if name.startswith("search: ") else MOST_GROWTH
    costs: list[Costs] = [[], []]
    for _ in range(LOOKS):
        for found, shop in zip(costs, (small, grown), strict=True):
            found.append(shop.ask(name))
        before, after = (min(each["cpu"] for each in found) for found in costs)
        if after <= most * before:
            break
    statements = max(each["statements"] for found in costs for each in found)
    is_met = after <= most * before and statements <= MOST_STATEMENTS
    text = f"{name[:71]:72}{before * 1000:11.2f}{after * 1000:11.2f}   {after / before:5.2f}×"
    return f"{text}   {statements:10.0f} {VERDICTS[is_met]}", is_met


def run(services: Services, options: Namespace) -> bool:
    """Measure and print; return whether every goal is met."""
    engines = options.engine or list(SIZES)
    met = [_run(engine, services, options.size) for engine in engines]
    return all(met)


def _run(engine: str, services: Services, given: int | None) -> bool:
    sizes = (SMALL, given or SIZES[engine])
    with tempfile.TemporaryDirectory(prefix="maaledu-bench-") as directory:
        shops = [OfficeShop(size, engine, services, Path(directory)) for size in sizes]
        try:
            for shop in shops:
                shop.fill()
            lines, is_met = compare(*shops)
            print(f"\n{engine}", *lines, sep="\n", flush=True)
            return is_met
        finally:
            for shop in shops:
                shop.close()
