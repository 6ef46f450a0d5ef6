"""Stripe's checks on parameters: types, lengths, allowed values, unknown names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from sandbox.stripe_errors import StripeRefusal
from sandbox.wire import whole

Check = Callable[[Any, str], Any]
EMAIL = re.compile(
    r"[^@\s<>(),;:\"\\\[\]]+@(?:[^@\s.<>(),;:\"\\\[\]]+\.)+[^@\s.<>(),;:\"\\\[\]]{2,}"
)
METADATA_KEYS, METADATA_KEY_LENGTH, METADATA_VALUE_LENGTH = 50, 40, 500


def text(limit: int = 5000) -> Check:
    def check(value: Any, param: str) -> str:
        if not isinstance(value, str):
            raise StripeRefusal("Invalid string: an object was given.", param=param)
        if value == "":
            raise StripeRefusal(
                f"An empty string was given for '{param}', which cannot be unset. Leave it out.",
                code="parameter_invalid_empty",
                param=param,
            )
        if len(value) > limit:
            raise StripeRefusal(
                f"Invalid string: at most {limit} characters are allowed, {len(value)} were given.",
                code="parameter_invalid_string_too_long" if limit < 5000 else "",
                param=param,
            )
        return value

    return check


def integer(least: int | None = None, most: int | None = None) -> Check:
    def check(value: Any, param: str) -> int:
        number = whole(value) if isinstance(value, str) else None
        if number is None:
            raise StripeRefusal(
                f"Invalid integer: {value}", code="parameter_invalid_integer", param=param
            )
        if least is not None and number < least:
            raise StripeRefusal(
                f"This value must be greater than or equal to {least}.",
                code="parameter_invalid_integer",
                param=param,
            )
        if most is not None and number > most:
            raise StripeRefusal(
                f"This value must be less than or equal to {most}.",
                code="parameter_invalid_integer",
                param=param,
            )
        return number

    return check


def boolean(value: Any, param: str) -> bool:
    if value not in ("true", "false"):
        raise StripeRefusal(f"Invalid boolean: {value}", param=param)
    return bool(value == "true")


def one_of(*allowed: str) -> Check:
    def check(value: Any, param: str) -> str:
        if value not in allowed:
            raise StripeRefusal(
                f"Invalid {param}: must be one of {', '.join(allowed)}", param=param
            )
        return str(value)

    return check


def email(value: Any, param: str) -> str:
    address = text(512)(value, param)
    if not EMAIL.fullmatch(address):
        raise StripeRefusal(f"Invalid email address: {address}", code="email_invalid", param=param)
    return str(address)


def url(value: Any, param: str) -> str:
    address = text(5000)(value, param)
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname or " " in address:
        raise StripeRefusal("Not a valid URL", code="url_invalid", param=param)
    return str(address)


def metadata(value: Any, param: str) -> dict[str, str]:
    if value == "":
        return {}
    if not isinstance(value, dict):
        raise StripeRefusal("Invalid object: metadata takes key-value pairs.", param=param)
    kept = {key: entry for key, entry in value.items() if entry != ""}
    if len(kept) > METADATA_KEYS:
        raise StripeRefusal(
            f"Metadata can have up to {METADATA_KEYS} keys, {len(kept)} were given.", param=param
        )
    for key, entry in kept.items():
        _check_pair(key, entry, param)
    return kept


def _check_pair(key: str, entry: Any, param: str) -> None:
    if not isinstance(entry, str):
        raise StripeRefusal(
            f"Metadata values must be strings; {key} is an object.", param=f"{param}[{key}]"
        )
    if len(key) > METADATA_KEY_LENGTH:
        raise StripeRefusal(
            f"Metadata keys can have up to {METADATA_KEY_LENGTH} characters, {key} has {len(key)}.",
            param=param,
        )
    if len(entry) > METADATA_VALUE_LENGTH:
        raise StripeRefusal(
            f"Metadata values can have up to {METADATA_VALUE_LENGTH} characters, that of {key} has"
            f" {len(entry)}.",
            param=f"{param}[{key}]",
        )


def anything(value: Any, param: str) -> Any:
    return value


def list_of(item: Check, most: int = 100) -> Check:
    def check(value: Any, param: str) -> list[Any]:
        if not isinstance(value, list):
            raise StripeRefusal("Invalid array", param=param)
        if len(value) > most:
            raise StripeRefusal(
                f"At most {most} entries are allowed, {len(value)} were given.", param=param
            )
        return [item(entry, f"{param}[{index}]") for index, entry in enumerate(value)]

    return check


def fields(schema: Mapping[str, Check], required: tuple[str, ...] = ()) -> Check:
    """Return the check of an object that has these fields and no others."""

    def check(value: Any, param: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise StripeRefusal("Invalid object", param=param)
        unknown = [_name(param, key) for key in value if key not in schema]
        if unknown:
            raise StripeRefusal(
                f"Received unknown parameter{'s' if len(unknown) > 1 else ''}:"
                f" {', '.join(unknown)}",
                code="parameter_unknown",
                param=unknown[0],
            )
        for key in required:
            if key not in value:
                raise StripeRefusal(
                    f"Missing required param: {_name(param, key)}.",
                    code="parameter_missing",
                    param=_name(param, key),
                )
        return {key: schema[key](entry, _name(param, key)) for key, entry in value.items()}

    return check


def _name(param: str, key: str) -> str:
    return f"{param}[{key}]" if param else key


def moment(value: Any, param: str) -> dict[str, int]:
    """Check a ``created`` filter: a timestamp or an object of bounds."""
    if isinstance(value, dict):
        return dict(fields({name: integer() for name in ("gt", "gte", "lt", "lte")})(value, param))
    return {"gte": integer()(value, param), "lte": integer()(value, param)}


PAGE: dict[str, Check] = {
    "limit": integer(1, 100),
    "starting_after": text(),
    "ending_before": text(),
    "expand": list_of(text()),
    "created": moment,
}
