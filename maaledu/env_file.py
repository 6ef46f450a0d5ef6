"""What in `.env` would be read otherwise than it is written; see `setting_rules`.

A password that is read as another one, or as none, is noticed when the first mail does not leave.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

LINE = re.compile(r"(?:export )?(\w+)=(.*)", re.ASCII)
# What a value may look like, and what is wrong with it; the first that fits is said.
FAULTS = tuple(
    (re.compile(pattern), says)
    for pattern, says in (
        (r"\s.*|.*\s", "begins or ends with a blank. Take it away, or put the value into quotes."),
        # As word processors and chats make of them.
        ("[“”„‘’‚«»].*|.*[“”„‘’‚«»]", "has quotes that are not plain ones. Use ' or \"."),
        (
            "'|'.*[^']|\"|\".*[^\"]",
            "has a quote that does not end, or a comment behind it. Comments take a line.",
        ),
        (
            "[^'\"].* #.*",
            "has a comment behind it, which counts as the value. Give it a line, or use quotes.",
        ),
        (
            r'".*\\[^\\"rnt].*"',
            "has a backslash in double quotes, which is left out. Use single quotes.",
        ),
        (
            "'\".*\"'",
            "has quotes in quotes, and all of them are left out. Use one pair.",
        ),
    )
)


def problems() -> Iterator[str]:
    """Yield a sentence for each line whose value is not what somebody reads there."""
    path = Path(settings.ENV_FILE)
    if not path.is_file():
        return
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        yield f"Save {path.name} as UTF-8: its characters cannot be read."
        return
    for number, line in enumerate(text.split("\n"), 1):
        problem = _problem(line.removesuffix("\r"))
        if problem:
            yield f"Line {number} of {path.name}: {problem}"


def _problem(line: str) -> str:
    if not line.strip() or line.startswith("#"):
        return ""
    if line.startswith("\ufeff"):
        return "save the file without a byte order mark, or this line is not read."
    found = LINE.fullmatch(line)
    if not found or len(line.splitlines()) > 1:
        return (
            "write it as NAME=value, without blanks before the name and around “=”; it is not read."
        )
    # Without the value, which may be a secret.
    name, value = found.groups()
    return next((f"{name} {says}" for fault, says in FAULTS if fault.fullmatch(value)), "")
