"""`script/bench --growth office`: what staff wait for in a grown shop, beside a shop of a thousand.

The home, a learner, and of each list the pages, filters, sorts, searches and files: at most eight
statements each, and at most twice the CPU time of the smaller shop, the database's included; three
times of a search. A page that has fewer rows in the smaller shop is held to what that list's first
page takes there: a page of fifty rows is no growth. The shops are those of `bench.shops`, and no
list is without a row there.
"""

import math
import re
from argparse import Namespace

from bench import shops
from bench.shops import VERDICTS, Shop, Took
from script.servers import Services

WHAT = "the office's pages, lists, searches and files, at a million enrollments"
MOST_STATEMENTS = 8
MOST_GROWTH, MOST_GROWTH_OF_SEARCHES = 2, 3
LOOKS = 4
CLEARLY = 0.75  # of a limit: one look that shows less is enough
HEADS = f"growth (≤ {MOST_GROWTH}, searches ≤ {MOST_GROWTH_OF_SEARCHES})"
STATEMENTS = f"statements (≤ {MOST_STATEMENTS})"


def run(services: Services, options: Namespace) -> bool:
    """Measure and print; return whether every goal is met."""
    return shops.run("bench.office_data", "bench.office_calls", report, services, options)


def report(small: Shop, grown: Shop) -> bool:
    """Ask both in turn and print what each takes; return whether every goal is met."""
    print(f"{'CPU ms by enrollments':72}{small.size:>11,}{grown.size:>11,}   {HEADS}, {STATEMENTS}")
    known, names = set(small.names()), grown.names()
    missed = []
    for name in names:
        line, is_met = _line(name, known, small, grown)
        print(line, flush=True)
        if not is_met:
            missed.append(name)
    print(f"{len(names)} of them, {len(missed)} missed", *missed, sep="\n")
    return not missed


def _line(name: str, known: set[str], small: Shop, grown: Shop) -> tuple[str, bool]:
    """Return what to print of one call, and whether it is within its limits."""
    is_search = name.startswith("search: ")
    most = MOST_GROWTH_OF_SEARCHES if is_search else MOST_GROWTH
    first_page = f"{re.split(': | by ', name.removeprefix('search: '))[0]}: list"
    before, after = _compare(name if name in known else first_page, name, most, small, grown)
    has_more_rows = after["rows"] > before["rows"] and not name.endswith(": one row")
    if _growth(before, after) > most and has_more_rows and first_page in known:
        before, after = _compare(first_page, name, most, small, grown)
    growth, statements = _growth(before, after), after["statements"]
    is_met = growth <= most and statements <= MOST_STATEMENTS
    text = f"{name[:71]:72}{before['cpu'] * 1000:11.2f}{after['cpu'] * 1000:11.2f}   {growth:5.2f}×"
    return f"{text}   {statements:3.0f} {VERDICTS[is_met]}", is_met


def _compare(
    of_small: str, of_grown: str, most: float, small: Shop, grown: Shop
) -> tuple[Took, Took]:
    """Return what a call takes in each at best.

    A look in which something else slowed one of them down is made up for by another.
    """
    before = after = {"cpu": math.inf}
    for enough in (most * CLEARLY, *[most] * (LOOKS - 1)):
        before = min(before, small.measure(of_small, 1), key=_cpu)
        after = min(after, grown.measure(of_grown, 1), key=_cpu)
        if _growth(before, after) <= enough:
            break
    return before, after


def _cpu(took: Took) -> float:
    return took["cpu"]


def _growth(before: Took, after: Took) -> float:
    return after["cpu"] / before["cpu"]
