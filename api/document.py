"""The OpenAPI document: what the operations declare, and the addresses that other parts answer."""

import functools
from typing import Any

from api.described import LIMIT_HEADERS, with_limits
from api.other_paths import OTHER_PATHS
from api.shapes import Problem
from api.site import api
from maaledu.version import VERSION

Described = dict[str, Any]
INTRODUCTION = (
    "Amounts are integers in the currency's minor unit, moments are ISO 8601 in UTC. Every refusal"
    " has one shape, with a code that stays the same. Lists come in pages: send `nextCursor` as"
    " `cursor` for the next one. Ask in the name of a session (with the header `X-CSRFToken` for"
    " each POST), or with an API key, which staff make in the office. Each answer says how many"
    " requests its limit still takes (`X-RateLimit-Limit`, `X-RateLimit-Remaining`,"
    " `X-RateLimit-Reset`); with an API key that is the key's own limit."
)
SECURITY: Described = {
    "ApiKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key; what it may do is named as `x-scope`.",
    },
    "Session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "sessionid",
        "description": "Set by `POST /api/auth/signin`; `__Host-sessionid` in production.",
    },
    "CsrfToken": {"type": "apiKey", "in": "header", "name": "X-CSRFToken"},
    "CsrfCookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "csrftoken",
        "description": "Set by `GET /api/auth/csrf`; `__Host-csrftoken` in production.",
    },
    "CronSecret": {"type": "http", "scheme": "bearer", "description": "CRON_SECRET."},
    "MonitorToken": {"type": "http", "scheme": "bearer", "description": "MONITOR_TOKEN."},
    "StripeSignature": {"type": "apiKey", "in": "header", "name": "Stripe-Signature"},
}
TAGS = {
    "courses": "Courses",
    "sign_in": "Sign-in",
    "checkout": "Checkout",
    "grants": "Grants",
    "affiliate": "Affiliates",
    "enrollments": "Enrollments",
    "sync": "LMS sync",
}


@functools.cache
def document() -> Described:
    """Return the document, which is the same for every installation of a release."""
    schema = api.get_openapi_schema(path_prefix="api/")
    paths = {path: _operations(methods) for path, methods in schema["paths"].items()}
    components = {**schema["components"]["schemas"], "Problem": Problem.json_schema()}
    return {
        "openapi": schema["openapi"],
        "info": {"title": "MaalEdu", "version": VERSION, "description": INTRODUCTION},
        "servers": [{"url": "/"}],
        "paths": {**paths, **OTHER_PATHS},
        "components": {
            "schemas": dict(sorted(components.items())),
            "headers": _headers(),
            "securitySchemes": SECURITY,
        },
    }


def _headers() -> Described:
    return {
        name: {"description": words, "schema": {"type": "string", "pattern": "^[0-9]+$"}}
        for name, words in LIMIT_HEADERS.items()
    }


def _operations(methods: Described) -> Described:
    """Leave HEAD out, which answers as GET does, and name the limit that each address has."""
    return {
        name: {**each, "responses": _responses(each["responses"])}
        for name, each in methods.items()
        if name != "head"
    }


def _responses(responses: Described) -> Described:
    """Write statuses as JSON has them, in their order."""
    return {
        str(status): with_limits(response) if str(status)[0] in "24" else response
        for status, response in sorted(responses.items(), key=lambda each: str(each[0]))
    }
