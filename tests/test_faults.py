"""The write-cutter cuts where it says, on every engine: otherwise the sweeps of the flows would
prove nothing.
"""

import json
import signal
import sys

import pytest
from django.db import connection

from tests.dbapp.models import Account, Note

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

# Two single writes, then two in one transaction. After an error it goes on with the next step, as a
# server would.
STEPS = """
import json, sys
from functools import partial
from pathlib import Path
import django
django.setup()
from django.db import close_old_connections
from maaledu.db import atomic
from tests.dbapp.models import Account, Note
from tests.faults import Faults

@atomic
def both():
    Note.objects.create(text="both")
    Account.objects.filter(name="cash").update(balance=2)

def run():
    failed = []
    open_account = partial(Account.objects.create, name="cash", balance=1)
    write_note = partial(Note.objects.create, text="alone")
    for number, step in enumerate([open_account, write_note, both]):
        try:
            step()
        except Exception:
            failed.append(number)
            close_old_connections()
    return failed
"""
ONCE = STEPS + "run()"
# In one process, which a fault of another kind than "kill" does not end.
AT_EVERY_WRITE = (
    STEPS
    + """
faults = Faults(Path(sys.argv[1]))
for kind in sys.argv[2:]:
    for at in range(1, 6):
        Note.objects.all().delete(), Account.objects.all().delete()
        faults.arm(at, kind)
        failed = run()
        cut = faults.has_cut
        faults.disarm()
        texts = sorted(Note.objects.values_list("text", flat=True))
        balances = list(Account.objects.values_list("balance", flat=True))
        print(json.dumps([kind, at, cut, failed, texts, balances]), flush=True)
"""
)
# Each in a process of its own, which a kill ends; none of them has a connection of another.
KILLED_AT_EVERY_WRITE = (
    STEPS
    + """
import os
faults = Faults(Path(sys.argv[1]))

def in_a_process(step):
    child = os.fork()
    if not child:
        step()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def empty():
    Note.objects.all().delete(), Account.objects.all().delete()

def show(*told):
    texts = sorted(Note.objects.values_list("text", flat=True))
    print(json.dumps([*told, texts, list(Account.objects.values_list("balance", flat=True))]))
    sys.stdout.flush()

for at in range(1, 7):
    in_a_process(empty)
    faults.arm(at)
    told = at, in_a_process(run), faults.has_cut
    faults.disarm()
    in_a_process(partial(show, *told))
"""
)
WRITES = 5  # INSERT, INSERT, INSERT, UPDATE, COMMIT


def output_of(start, faults, script: str, *arguments: str) -> list:
    """Run a script to its end, and return what it printed."""
    command = [sys.executable, "-c", script, str(faults.plan.parent), *arguments]
    process = start(command, **faults.environment)
    assert process.wait_end(60) == 0, process.output()
    return [json.loads(line) for line in process.output().splitlines() if line.startswith("[")]


def state() -> tuple[list[str], list[int]]:
    return sorted(Note.objects.values_list("text", flat=True)), list(
        Account.objects.values_list("balance", flat=True)
    )


@pytest.mark.any_engine
def test_a_clean_run_is_counted_and_not_disturbed(start, faults):
    faults.arm(0)
    output_of(start, faults, ONCE)
    assert len(faults.writes) == WRITES
    assert faults.writes[-1] == "COMMIT"
    assert faults.lasting == [1, 2, 5]
    assert not faults.has_cut
    assert state() == (["alone", "both"], [2])


AFTER_A_KILL = {
    1: ([], []),
    2: ([], [1]),
    3: (["alone"], [1]),
    4: (["alone"], [1]),
    5: (["alone"], [1]),
    6: (["alone", "both"], [2]),
}


def test_a_kill_leaves_what_was_written_before_it(start, faults):
    assert output_of(start, faults, KILLED_AT_EVERY_WRITE) == [
        [at, -signal.SIGKILL if at <= WRITES else 0, at <= WRITES, texts, balances]
        for at, (texts, balances) in AFTER_A_KILL.items()
    ]


FAILED_BEFORE = {
    1: [[0], ["alone", "both"], []],
    2: [[1], ["both"], [2]],
    **{at: [[2], ["alone"], [1]] for at in (3, 4, 5)},
}
# The write was made: a single one stays, one inside a transaction is rolled back with it, a commit
# holds.
FAILED_AFTER = {
    1: [[0], ["alone", "both"], [2]],
    2: [[1], ["alone", "both"], [2]],
    **{at: [[2], ["alone"], [1]] for at in (3, 4)},
    5: [[2], ["alone", "both"], [2]],
}
HEALED = [[], ["alone", "both"], [2]]


def test_an_error_is_raised_once_and_the_process_goes_on(start, faults):
    expected = {"raise": FAILED_BEFORE, "drop": FAILED_BEFORE, "lost": FAILED_AFTER}
    if connection.vendor == "mongodb":
        # A transaction whose connection breaks is run again, or its commit repeated.
        healed = dict.fromkeys((3, 4, 5), HEALED)
        expected = {**expected, "drop": FAILED_BEFORE | healed, "lost": FAILED_AFTER | healed}
    assert output_of(start, faults, AT_EVERY_WRITE, *expected) == [
        [kind, at, True, *outcome]
        for kind, outcomes in expected.items()
        for at, outcome in outcomes.items()
    ]


@pytest.mark.any_engine
def test_nothing_is_cut_or_counted_before_it_is_armed(start, faults):
    output_of(start, faults, ONCE)
    assert faults.writes == []
    assert state() == (["alone", "both"], [2])
