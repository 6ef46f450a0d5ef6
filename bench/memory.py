"""How much memory processes take."""

import re
from pathlib import Path

SHARE = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


def of_tree(pid: int) -> str:
    """Return what a process and its children take, pages that they share counted once."""
    kilobytes = sum(
        int(SHARE.findall(Path(f"/proc/{part}/smaps_rollup").read_text())[0]) for part in _tree(pid)
    )
    return f"{kilobytes / 1024:.0f} MB"


def _tree(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(part for child in children for part in _tree(int(child)))]
