"""`script/bench`: CPU time per request against Django views, statement counts, and memory.

The CPU time is that of a gunicorn worker, HTTP included, read from the kernel. A ratio of 50 %
means half as many requests in the same CPU time as a bare page, or as a bare INSERT. The checkout
and the webhook are also compared with plain views that send the same statements in the same
transaction, make the same call to Stripe and pass the same middleware: they may take 1.15 times the
CPU time of those.

The servers answer in turn, round after round, so that a slow moment of the machine slows all of
them down; a figure is the median of the rounds. The sandbox stands in for Stripe, in a process of
its own. Nothing is kept.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from bench import at_scale, growth
from bench.report import report
from bench.run import Run
from script.servers import Services

ENGINES = ["sqlite", "postgres"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument("--engine", choices=ENGINES, action="append", help="default: both")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--growth",
        action="store_true",
        help="only this: an affiliate's pages as the ledger grows to a million entries",
    )
    parser.add_argument(
        "--replays",
        action="store_true",
        help="only this: fifty thousand webhooks in any order, each several times",
    )
    parser.add_argument(
        "--reconcile",
        action="store_true",
        help="only this: ten thousand objects at Stripe compared with ours, memory and statements",
    )
    options = parser.parse_args()
    services, directory = Services(), Path(tempfile.mkdtemp(prefix="maaledu-bench-"))
    try:
        if options.growth:
            sys.exit(0 if growth.run(services) else 1)
        for name in at_scale.TESTS:
            if getattr(options, name):
                sys.exit(0 if at_scale.run(name, services) else 1)
        for engine in options.engine or ENGINES:
            _run(Run(engine, services, directory), options.rounds)
    finally:
        services.stop()
        shutil.rmtree(directory, ignore_errors=True)


def _run(run: Run, rounds: int) -> None:
    try:
        run.prepare()
        print("\n".join(report(run.engine, run.measure(rounds))), flush=True)
        print(run.memory(), flush=True)
    finally:
        run.close()


if __name__ == "__main__":
    main()
