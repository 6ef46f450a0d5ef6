"""`script/bench --growth office`: what staff wait for in a grown shop, beside a shop of a thousand.

The home, a learner, and of each list the pages, filters, sorts, searches and files: at most eight
statements each, and at most twice the CPU time of the smaller shop, the database's included; three
times of a search. A page with a few rows in the smaller shop is held to what that list's first page
takes there: a page of fifty rows is no growth. The shops are those of `bench.shops`, and no list is
without a row there.
"""

import re
from argparse import Namespace

from bench import shops
from bench.shops import VERDICTS, Shop, Took
from script.servers import Services

WHAT = "the office's pages, lists, searches and files, at a million enrollments"
MOST_STATEMENTS = 8
MOST_GROWTH, MOST_GROWTH_OF_SEARCHES = 2, 3
RUNS, LOOKS = 2, 3
HEADS = f"growth (≤ {MOST_GROWTH}, searches ≤ {MOST_GROWTH_OF_SEARCHES})"
STATEMENTS = f"statements (≤ {MOST_STATEMENTS})"


def run(services: Services, options: Namespace) -> bool:
    """Measure and print; return whether every goal is met."""
    return shops.run("bench.office_data", "bench.office_calls", report, services, options)


def report(small: Shop, grown: Shop) -> bool:
    """Ask both in turn and print what each takes; return whether every goal is met."""
    print(f"{'CPU ms by enrollments':72}{small.size:>11,}{grown.size:>11,}   {HEADS}, {STATEMENTS}")
    known = set(small.names())
    names = [name for name in grown.names() if name in known]
    missed = []
    for name in names:
        line, is_met = _line(name, small, grown)
        print(line, flush=True)
        if not is_met:
            missed.append(name)
    print(f"{len(names)} of them, {len(missed)} missed", *missed, sep="\n")
    return not missed


def _line(name: str, small: Shop, grown: Shop) -> tuple[str, bool]:
    """Return what to print of one call, and whether it is within its limits."""
    is_search = name.startswith("search: ")
    most = MOST_GROWTH_OF_SEARCHES if is_search else MOST_GROWTH
    before, after, statements = _compare(name, name, most, small, grown)
    first_page = f"{re.split(': | by ', name.removeprefix('search: '))[0]}: list"
    is_page = not name.endswith((": one row", ": export"))
    if is_page and after > most * before and first_page in small.names():
        before, after, statements = _compare(first_page, name, most, small, grown)
    is_met = after <= most * before and statements <= MOST_STATEMENTS
    text = f"{name[:71]:72}{before * 1000:11.2f}{after * 1000:11.2f}   {after / before:5.2f}×"
    return f"{text}   {statements:3.0f} {VERDICTS[is_met]}", is_met


def _compare(
    of_small: str, of_grown: str, most: float, small: Shop, grown: Shop
) -> tuple[float, float, float]:
    """Return what a call takes in each, and the statements of the grown one.

    A look in which something else slowed one of them down is made up for by another.
    """
    costs: tuple[list[Took], list[Took]] = ([], [])
    before = after = 0.0
    for _ in range(LOOKS):
        costs[0].append(small.measure(of_small, RUNS))
        costs[1].append(grown.measure(of_grown, RUNS))
        before, after = (min(each["cpu"] for each in found) for found in costs)
        if after <= most * before:
            break
    return before, after, max(each["statements"] for each in costs[1])
