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
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import at_scale, growth, night, office, silence
from bench.report import report
from bench.run import Run
from script.servers import Services

ENGINES = ["sqlite", "postgres"]
GROWTH = {"affiliates": growth, "night": night, "office": office}


# Each is run alone, and takes longer than all the rest.
ALONE = {
    "replays": "fifty thousand webhooks in any order, each several times",
    "reconcile": "ten thousand objects at Stripe compared with ours, memory and statements",
    "batch": "five thousand learners enrolled from one list, killed three times",
    "platforms": "five hundred purchases on each of two platforms, of which one is down",
    "hanging": "what other pages cost while forty learners wait for Stripe and the LMS",
    "silence": "each fault on real processes, and who says it; writes docs/silence.md",
    "recovery": "two thousand jobs that waited for an LMS, at ten calls a second",
    "partial_outage": "six hours in which one step of an LMS fails, minute by minute",
    "new_users": "fifteen hundred new learners at an LMS that makes sixty an hour",
    "old_databases": "two hundred old databases by seed, brought over and taken back",
    "old_rows": "twenty thousand enrollments of the old platform, rate and memory",
    "vitals": "what a phone on slow 4G sees of four pages: largest paint, shift, long tasks, bytes",
    "pages": "pages of proxies at every status, at every call to a learning platform",
}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument("--engine", choices=ENGINES, action="append", help="default: both")
    parser.add_argument("--rounds", type=int, default=5)
    for name, what in ALONE.items():
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, action="store_true", help=f"only this: {what}")
    parser.add_argument(
        "--growth",
        nargs="?",
        const="affiliates",
        choices=GROWTH,
        help="only this, in a grown shop: "
        + ", ".join(f"{name}: {module.WHAT}" for name, module in GROWTH.items()),
    )
    parser.add_argument("--size", type=int, help="enrollments of --growth night and office")
    return parser.parse_args()


def main() -> None:
    options = _options()
    services, directory = Services(), Path(tempfile.mkdtemp(prefix="maaledu-bench-"))
    try:
        if options.growth:
            sys.exit(0 if GROWTH[options.growth].run(services, options) else 1)
        if options.vitals:  # apart, because only this needs a browser
            sys.exit(subprocess.run([sys.executable, "-m", "bench.vitals"], check=False).returncode)
        if options.silence:
            sys.exit(0 if silence.run() else 1)
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
