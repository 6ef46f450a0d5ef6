"""What the runbook says about an alert, so that the alert says it itself."""

import re
from functools import cache

from django.conf import settings

ROW = re.compile(r"^\| (\*\*.+?) \| (.+?) \| (.+?) \| (.+) \|$", re.MULTILINE)
TITLE = re.compile(r"\*\*(.+?)\*\*")
LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")


def what_to_do(subject: str) -> str:
    """Return the last column of the entry with this subject, as plain text; empty without one."""
    fitting = [(title, do) for title, do in _entries() if re.match(title, subject)]
    return max(fitting, key=lambda each: len(each[0]))[1] if fitting else ""


@cache
def _entries() -> list[tuple[str, str]]:
    """Return the pattern of each subject of an alert, and what to do about it."""
    path = settings.BASE_DIR / "docs" / "runbook.md"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return [
        (".+".join(map(re.escape, title.split("…"))), _plain(row[4]))
        for row in ROW.finditer(text)
        for title in TITLE.findall(row[1])
    ]


def _plain(markdown: str) -> str:
    return LINK.sub(r"\1", markdown).replace("*", "").replace("`", "")
