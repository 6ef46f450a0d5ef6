"""Decoding of Stripe's form encoding.

``a[b][0][c]=v`` and ``expand[]=x`` become nested dicts and lists.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from sandbox.stripe_errors import StripeRefusal

KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
DEPTH = 12


def decode(text: str) -> dict[str, Any]:
    """Return the parameters of a form body or a query string; values are strings."""
    root: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, max_num_fields=5000):
        match = KEY.fullmatch(name)
        if match is None or name.count("[") > DEPTH:
            raise StripeRefusal(
                f"Invalid request: the parameter name {name} cannot be read.", param=name
            )
        _put(root, [match[1], *match[2][1:-1].split("][")] if match[2] else [match[1]], value)
    return {name: _listed(value, name) for name, value in root.items()}


def _put(node: dict[str, Any], keys: list[str], value: str) -> None:
    for key in keys[:-1]:
        child = node.setdefault(key or str(len(node)), {})
        if not isinstance(child, dict):
            raise StripeRefusal(
                f"Invalid request: {keys[0]} is given both as a value and as an object.",
                param=keys[0],
            )
        node = child
    node[keys[-1] or str(len(node))] = value


def _listed(value: Any, name: str) -> Any:
    if not isinstance(value, dict) or name == "metadata":
        return value
    children = {key: _listed(child, key) for key, child in value.items()}
    if children and all(key.isdigit() for key in children):
        return [children[key] for key in sorted(children, key=int)]
    return children
