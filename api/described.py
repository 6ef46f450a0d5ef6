"""What the document says of an operation beyond its fields: who may ask, limits and refusals."""

from collections import defaultdict
from typing import Any

from accounts.keys import InvalidApiKey
from affiliates.errors import SignInNeeded
from api.errors import InvalidInput, ScopeMissing, SecondFactorNeeded
from api.terms import ANYBODY, STAFF, Terms
from maaledu.errors import (
    AppError,
    BadRequest,
    Forbidden,
    LengthRequired,
    PayloadTooLarge,
    RateLimited,
    ServiceUnavailable,
    UnsupportedMediaType,
)
from maaledu.idempotency import BadIdempotencyKey, IdempotencyKeyReused, StillAnswering

Described = dict[str, Any]
PROBLEM = {"$ref": "#/components/schemas/Problem"}
OF_ALL = (BadRequest, InvalidApiKey, RateLimited, AppError, ServiceUnavailable)
OF_BODIES = (LengthRequired, PayloadTooLarge, UnsupportedMediaType, InvalidInput, Forbidden)
OF_MAKERS = (BadIdempotencyKey, IdempotencyKeyReused, StillAnswering)
LIMIT_HEADERS = {
    "X-RateLimit-Limit": "How many requests the period takes.",
    "X-RateLimit-Remaining": "How many of them are left.",
    "X-RateLimit-Reset": "When the period ends, in seconds since 1970.",
}
IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": False,
    "description": (
        "A text of your own, such as a UUID. The same request under the same key is answered as it"
        " was the first time, for 24 hours; another one is refused."
    ),
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}


def additions(method: str, terms: Terms, takes: Any) -> Described:
    """Return what `openapi_extra` adds to an operation."""
    has_body = method == "POST"
    described: Described = {
        "responses": refusals_of(terms, has_body=has_body),
        "security": security_of(terms, is_safe=not has_body),
        "x-limit": terms.limit,
    }
    if terms.scope:
        described["x-scope"] = terms.scope
    if terms.permission:
        described["x-permission"] = terms.permission
    if terms.makes:
        described["parameters"] = [IDEMPOTENCY_KEY]
    if takes is not None:
        schema = takes.model_json_schema(by_alias=True)
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    return described


def too_long() -> Described:
    """Return the answer of the server itself, before it is a request of ours."""
    return {
        "description": "The address has more than 4094 characters.",
        "content": {"text/html": {"schema": {"type": "string"}}},
    }


def security_of(terms: Terms, *, is_safe: bool) -> list[Described]:
    key: Described = {"ApiKey": []}
    if terms.who == ANYBODY:
        return [key, {} if is_safe else {"CsrfToken": [], "CsrfCookie": []}]
    session: Described = {"Session": []}
    return [key, session if is_safe else {**session, "CsrfToken": [], "CsrfCookie": []}]


def refusals_of(terms: Terms, *, has_body: bool) -> Described:
    """Return a response for each status that refuses, with the codes that it may have."""
    classes = [*OF_ALL, *(OF_BODIES if has_body else ()), *(OF_MAKERS if terms.makes else ())]
    classes += [ScopeMissing] if terms.scope else []
    classes += [SignInNeeded] if terms.who != ANYBODY else []
    classes += [Forbidden, SecondFactorNeeded] if terms.who == STAFF else []
    by_status: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for refusal in (*classes, *terms.refusals):
        by_status[refusal.http_status][refusal.code] = refusal.message
    found = {str(status): response_of(codes) for status, codes in sorted(by_status.items())}
    return {**found, "414": too_long()}


def refusal(refused: type[AppError]) -> Described:
    return {str(refused.http_status): response_of({refused.code: refused.message})}


def with_limits(response: Described) -> Described:
    """Add the headers of the limit to a response."""
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in LIMIT_HEADERS}
    return {**response, "headers": headers}


def response_of(codes: dict[str, str]) -> Described:
    code = {"properties": {"code": {"enum": sorted(codes)}}}
    return {
        "description": " ".join(f"`{code}`: {codes[code]}" for code in sorted(codes)),
        "content": {"application/json": {"schema": {"allOf": [PROBLEM, code]}}},
    }
