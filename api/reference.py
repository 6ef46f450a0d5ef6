"""The document as a page shows it: sections of operations, with their fields as flat rows."""

import functools
from dataclasses import dataclass, field
from typing import Any

from api.document import TAGS, document

Schema = dict[str, Any]
DEEPEST = 3
SHOWN = {
    "ApiKey": "an API key",
    "Session": "a session",
    "CsrfToken": "the token",
    "CsrfCookie": "its cookie",
    "CronSecret": "the cron secret",
    "MonitorToken": "the monitors' token",
    "StripeSignature": "Stripe's signature",
}


@dataclass(frozen=True)
class FieldRow:
    name: str
    kind: str
    is_required: bool
    description: str = ""


@dataclass(frozen=True)
class Answer:
    status: str
    description: str
    fields: list[FieldRow] = field(default_factory=list)


@dataclass(frozen=True)
class Entry:
    """One operation; `codes` are its refusals: status, code and sentence."""

    method: str
    path: str
    summary: str
    description: str
    who: list[str]
    parameters: list[FieldRow]
    body: list[FieldRow]
    answers: list[Answer]
    codes: list[tuple[str, str, str]]
    facts: list[str]

    @property
    def anchor(self) -> str:
        return f"{self.method}{self.path}".lower().replace("/", "-")


@functools.cache
def sections() -> list[tuple[str, list[Entry]]]:
    """Return each section's name and its operations, in the order of the document."""
    found: dict[str, list[Entry]] = {}
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            [tag] = operation["tags"]
            found.setdefault(TAGS.get(tag, tag), []).append(_entry(path, method, operation))
    return list(found.items())


def _entry(path: str, method: str, operation: Schema) -> Entry:
    responses = operation["responses"].items()
    body = operation.get("requestBody", {})
    return Entry(
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        description=operation.get("description", ""),
        who=[_who(each) for each in operation["security"]],
        parameters=[_parameter(each) for each in operation.get("parameters", [])],
        body=_fields(_json_of(body)) if body else [],
        answers=[
            Answer(status, each["description"], _fields(_json_of(each)))
            for status, each in responses
            if not _codes(status, each)
        ],
        codes=[row for status, each in responses for row in _codes(status, each)],
        facts=[
            f"{label}: {operation[name]}"
            for name, label in (("x-scope", "scope of a key"), ("x-permission", "permission"))
            if name in operation
        ],
    )


def _who(way: Schema) -> str:
    return " and ".join(SHOWN[name] for name in way) or "nothing"


def _parameter(parameter: Schema) -> FieldRow:
    schema = parameter["schema"]
    return FieldRow(
        parameter["name"],
        f"{_kind(schema)}, in the {parameter['in']}",
        parameter["required"],
        parameter.get("description", ""),
    )


def _json_of(holder: Schema) -> Schema:
    return holder.get("content", {}).get("application/json", {}).get("schema", {})


def _codes(status: str, response: Schema) -> list[tuple[str, str, str]]:
    """Return the codes of a response that refuses, none of any other."""
    for part in _json_of(response).get("allOf", []):
        codes = part.get("properties", {}).get("code", {}).get("enum", [])
        if codes:
            return [(status, code, _sentence(response, code)) for code in codes]
    return []


def _sentence(response: Schema, code: str) -> str:
    _, _, rest = response["description"].partition(f"`{code}`: ")
    return rest.partition(" `")[0]


def _fields(schema: Schema, above: str = "", depth: int = 0) -> list[FieldRow]:
    schema = _resolved(schema)
    rows: list[FieldRow] = []
    for variant in schema.get("anyOf", []):
        rows += _fields(variant, above, depth)
    required = schema.get("required", [])
    for name, each in schema.get("properties", {}).items():
        full = f"{above}{name}"
        rows.append(FieldRow(full, _kind(each), name in required, each.get("description", "")))
        if depth < DEEPEST:
            rows += _inner_fields(each, full, depth + 1)
    return rows


def _inner_fields(schema: Schema, name: str, depth: int) -> list[FieldRow]:
    if "items" in schema:
        return _fields(schema["items"], f"{name}[].", depth)
    return _fields(schema, f"{name}.", depth) if "$ref" in schema else []


def _resolved(schema: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    name = schema["$ref"].rpartition("/")[2]
    found: Schema = document()["components"]["schemas"][name]
    return found


def _kind(schema: Schema) -> str:
    """Return a field's type in a few words: `text`, `number or null`, `one of usd, eur`."""
    schema = _resolved(schema)
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if "const" in schema:
        return str(schema["const"]).lower() if schema["const"] is True else str(schema["const"])
    names = schema.get("type", "value")
    return schema.get("format") or (" or ".join(names) if isinstance(names, list) else names)
