"""The table of docs/silence.md, from what was found."""

import json
from pathlib import Path
from typing import Any

from tests.engines import ROOT
from tests.system.silence import FAULTS
from tests.system.silence.ears import ADDRESSES
from tests.system.silence.fault import Fault

TABLE = ROOT / "docs" / "silence.md"
HEAD = """# Who says it when something stops

Each fault is made on real processes: web server, worker, scheduler, PostgreSQL, Redis, with the
sandbox as Stripe, LMS and mail server. Their clock is moved minute by minute, and in each somebody
buys and a monitor asks. Minutes are counted from the fault, or from its end, to the last of the
ways named; each is said within five. What staff have to decide has no end of its own. Each row is
of the last run of its fault, and a run fails where something is not said. `script/bench --silence`
makes all the faults; those whose name has some words in it, such as the last but one here:
`SILENCE_FOUND=/tmp/found.json TEST_ENGINE=sqlite python -m pytest tests/system/silence -k static`.

| what is wrong | who says it | by | after | at its end | after |
| --- | --- | --- | --- | --- | --- |
"""
Sayings = list[list[Any]]


def row(fault: Fault, found: dict[str, Sayings]) -> str:
    said, over = found["said"], found["over"]
    words = f"“{fault.alert}”" if fault.alert else f"`{fault.address}`: {fault.answer}"
    ways = ", ".join(fault.ways) if fault.alert else "a monitor"
    if turned := _turned(fault, said):
        ways += f"; {turned}"
    ends = f"“{fault.ends}”" if fault.alert and fault.ends else fault.ends or "staff decide"
    ended = _minutes(over, fault.must_end)
    cells = [fault.name, words, ways, _minutes(said, fault.must_be_said), ends, ended]
    return f"| {' | '.join(cells)} |\n"


def _turned(fault: Fault, said: Sayings) -> str:
    """Name the monitor's addresses that turned as well, and when."""
    also = [each for each in said if each[1] in ADDRESSES and each[1] != fault.address]
    return ", ".join(f"`{address}` {answer} ({minute} min)" for minute, address, answer in also)


def _minutes(sayings: Sayings, wanted: list[tuple[str, str]]) -> str:
    first: dict[tuple[str, str], int] = {}
    for minute, way, text in sayings:
        first.setdefault((way, text), minute)
    if not all(each in first for each in wanted):
        return "**never**"
    return f"{max(first[each] for each in wanted)} min" if wanted else ""


def write(found: Path) -> None:
    """Write docs/silence.md: what the tests have kept; the rows of other faults stay."""
    kept = json.loads(found.read_text())
    lines = TABLE.read_text().splitlines(keepends=True)
    before = {line.split(" | ")[0].removeprefix("| "): line for line in lines if line[:2] == "| "}
    rows = [
        row(fault, kept[fault.name]) if fault.name in kept else before.get(fault.name, "")
        for fault in FAULTS.values()
    ]
    TABLE.write_text(HEAD + "".join(rows))
