"""Make JSON storable by all three databases, and name what was replaced.

PostgreSQL takes no NUL and no lone surrogate, SQLite no NaN, MongoDB no integer beyond 64 bits and
no document deeper than 100 levels. Source: contracts/reliability, section 4.
"""

import math
import re
from typing import Any

LARGEST = 2**63 - 1
DEEPEST = 50
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
LONGEST_PATH = 200


def storable(value: Any) -> tuple[Any, list[str]]:
    """Return this JSON value as every engine keeps it, and the paths of what was replaced.

    NUL and lone surrogates become U+FFFD, numbers that no column holds become their text, and what
    nests deeper than DEEPEST becomes null.
    """
    if _is_storable_whole(value, DEEPEST):
        return value, []
    replaced: list[str] = []
    return _storable(value, "", DEEPEST, replaced), replaced


def _storable(value: Any, path: str, levels: int, replaced: list[str]) -> Any:
    if isinstance(value, dict) and levels:
        return {
            _key(key, path, replaced): _storable(item, f"{path}.{key}", levels - 1, replaced)
            for key, item in value.items()
        }
    if isinstance(value, list) and levels:
        return [
            _storable(item, f"{path}.{number}", levels - 1, replaced)
            for number, item in enumerate(value)
        ]
    kept = _kept(value)
    if kept is not value:
        replaced.append(clean(path.lstrip("."))[:LONGEST_PATH])
    return kept


def _is_storable_whole(value: Any, levels: int) -> bool:
    """Return whether nothing in this value has to be replaced.

    So it is for nearly every event: then no copy is made and no path is put together.
    """
    if isinstance(value, dict):
        items = value.items()
        return levels > 0 and all(
            is_storable(key) and _is_storable_whole(item, levels - 1) for key, item in items
        )
    if isinstance(value, list):
        return levels > 0 and all(_is_storable_whole(item, levels - 1) for item in value)
    return is_storable(value) if isinstance(value, str) else _kept(value) is value


def _key(key: str, path: str, replaced: list[str]) -> str:
    if is_storable(key):
        return key
    replaced.append(clean(f"{path}.{key}".lstrip("."))[:LONGEST_PATH])
    return clean(key)


def _kept(value: Any) -> Any:
    if isinstance(value, str):
        return value if is_storable(value) else clean(value)
    if isinstance(value, dict | list):
        return None
    if isinstance(value, int) and not -LARGEST <= value <= LARGEST:
        return str(value)
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def clean(text: str) -> str:
    """Return the text with U+FFFD for each character that not every database takes."""
    return UNSTORABLE.sub(REPLACEMENT, text)


UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def is_storable(text: str) -> bool:
    """Return whether all three databases take this text: no NUL, no lone surrogate."""
    return UNSTORABLE.search(text) is None
