"""Whatever stops is said within five minutes by something that does not depend on it."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.notifications.recorder import Recorder
from tests.system.silence import FAULTS
from tests.system.silence.ears import Ears, Saying
from tests.system.silence.fault import Fault
from tests.system.silence.stage import Stage

pytestmark = [pytest.mark.engines("sqlite"), pytest.mark.slow]
# Minutes. That something is over is said when it was not seen for five of them, and a mail server
# that refused is tried after ten at most.
SAID_WITHIN, OVER_WITHIN = 5, 16
# What was found is kept here, for the table of docs/silence.md.
FOUND = os.environ.get("SILENCE_FOUND", "")
# Each takes a quarter of a minute or more; the suite has one of them, `script/bench --silence` all.
MADE = FAULTS if FOUND else {name: FAULTS[name] for name in ("upkeep: a step of the night fails",)}


@pytest.mark.parametrize("fault", MADE.values(), ids=MADE)
def test_a_fault_is_said_within_five_minutes_and_its_end_too(
    fault: Fault, new_stage: Callable[[Fault], Stage], recorder: Recorder
) -> None:
    stage = new_stage(fault)
    ears = Ears(stage.sandbox, recorder, stage.url)
    listen(stage, ears, [], minutes=2)
    assert ears.said == [], "nothing is wrong yet"
    with fault.make(stage):
        listen(stage, ears, fault.must_be_said, minutes=SAID_WITHIN)
        said = ears.take()
    listen(stage, ears, fault.must_end, minutes=OVER_WITHIN)
    over = ears.take()
    keep(fault, said, over)
    assert missing(said, fault.must_be_said) == [], said
    assert missing(over, fault.must_end) == [], over


def listen(stage: Stage, ears: Ears, sayings: list[tuple[str, str]], *, minutes: int) -> None:
    """Let minutes pass until all of this was said."""
    for minute in range(1, minutes + 1):
        stage.minute()
        ears.listen(minute)
        if sayings and not missing(ears.said, sayings):
            return


def missing(said: list[Saying], sayings: list[tuple[str, str]]) -> list[tuple[str, str]]:
    heard = {(each.way, each.text) for each in said}
    return [saying for saying in sayings if saying not in heard]


def keep(fault: Fault, said: list[Saying], over: list[Saying]) -> None:
    if not FOUND:
        return
    path = Path(FOUND)
    found = json.loads(path.read_text()) if path.exists() else {}
    found[fault.name] = {
        name: [[each.minute, each.way, each.text] for each in sayings]
        for name, sayings in (("said", said), ("over", over))
    }
    path.write_text(json.dumps(found, indent=1))
