"""What the document says of addresses under /api/ that other parts of the product answer."""

from typing import Any

from api.described import refusal, response_of, too_long
from maaledu.errors import (
    AppError,
    BadRequest,
    LengthRequired,
    PayloadTooLarge,
    RateLimited,
    ServiceUnavailable,
)
from payments.errors import InvalidEvent, InvalidSignature

Described = dict[str, Any]
TEXT, NUMBER, MOMENT = (
    {"type": "string"},
    {"type": "integer"},
    {"type": "string", "format": "date-time"},
)
STATUS = {"status": {"enum": ["healthy", "degraded", "down"]}, "timestamp": MOMENT}
COUNTS = dict.fromkeys(("processed", "succeeded", "failed", "remaining"), NUMBER)
# The classes belong to an app beside this one; the codes are what programs read.
CRON_REFUSED = {"CRON_REFUSED": "This address is for the scheduler."}
MONITOR_REFUSED = {"MONITOR_REFUSED": "This address is for monitors of ours."}


def _json(description: str, properties: Described, required: list[str]) -> Described:
    schema = {"type": "object", "properties": properties, "required": required}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _get(name: str, summary: str, responses: Described, **more: Any) -> Described:
    refused = {**refusal(RateLimited), **refusal(AppError), **refusal(BadRequest)}
    refused["414"] = too_long()
    found = {**responses, **refused}
    return {
        "operationId": name,
        "summary": summary,
        "tags": ["Operation"],
        "responses": found,
        **more,
    }


def _health(name: str, summary: str, details: Described) -> Described:
    """Return a GET that answers 200 or 503 in one shape; the details are for staff and monitors."""
    facts = {**STATUS, **details}
    bad = _json("Not well.", facts, [])
    bad["content"]["application/json"]["schema"] = {
        "anyOf": [
            {"type": "object", "properties": facts, "required": ["status", "timestamp"]},
            {"$ref": "#/components/schemas/Problem"},
        ]
    }
    well = _json("Well.", facts, ["status", "timestamp"])
    return _get(name, summary, {"200": well, "503": bad}, security=[{}, {"Session": []}])


def _cron(name: str, summary: str, *, details: Described, done: Described) -> Described:
    run = {"success": {"const": True}, **done, **COUNTS, "timestamp": MOMENT}
    health = _health(f"{name}_health", f"Health: {summary}", details)
    health["parameters"] = [
        {
            "in": "query",
            "name": "run",
            "required": False,
            "description": "`1` with the cron secret does the work, for schedulers that only GET.",
            "schema": TEXT,
        }
    ]
    health["responses"]["200"]["content"]["application/json"]["schema"]["properties"] |= run
    health["responses"]["200"]["content"]["application/json"]["schema"]["required"] = ["timestamp"]
    health["responses"]["401"] = response_of(CRON_REFUSED)
    responses = {
        "200": _json("What came of it.", run, ["success", *COUNTS, "timestamp"]),
        "401": response_of(CRON_REFUSED),
        **refusal(AppError),
        **refusal(ServiceUnavailable),
    }
    work = {
        "operationId": name,
        "summary": summary,
        "tags": ["Operation"],
        "security": [{"CronSecret": []}],
        "responses": responses,
    }
    return {"get": health, "post": work}


LMS_DETAILS = {
    "baseUrl": TEXT,
    "state": TEXT,
    "latencyMs": {"type": ["integer", "null"]},
    "lastOkAt": {"type": ["string", "null"]},
    "lastError": TEXT,
    "downSince": {"type": ["string", "null"]},
    "retryAt": {"type": ["string", "null"]},
}
JOBS = _cron(
    "retry_lms_jobs",
    "Work on at most ten due LMS jobs",
    details=dict.fromkeys(("due", "waiting", "dead"), NUMBER),
    done={},
)
CACHE = {"hits": NUMBER, "misses": NUMBER, "hitRate": TEXT, "timestamp": MOMENT}
WEBHOOK = {
    "operationId": "stripe_webhook",
    "summary": "Take an event that Stripe has signed",
    "tags": ["Operation"],
    "security": [{"StripeSignature": []}],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object"}}},
    },
    "responses": {
        "200": _json(
            "Stored, known or ignored.",
            {"success": {"const": True}, "message": TEXT, "eventId": TEXT},
            ["success", "message", "eventId"],
        ),
        "400": response_of(
            {each.code: each.message for each in (BadRequest, InvalidSignature, InvalidEvent)}
        ),
        **refusal(LengthRequired),
        **refusal(PayloadTooLarge),
        **refusal(AppError),
        **refusal(ServiceUnavailable),
    },
}


def _named_again(path: Described) -> Described:
    """Return the same address under its other name, with operation ids of its own."""
    return {
        method: {**each, "operationId": f"{each['operationId']}_too"}
        for method, each in path.items()
    }


OTHER_PATHS: Described = {
    "/api/webhook": {"post": WEBHOOK},
    "/api/health/frappe": {
        "get": _health("frappe_health", "Whether Frappe LMS answers, as last known", LMS_DETAILS)
    },
    "/api/health/openedx": {
        "get": _health("openedx_health", "Whether Open edX answers, as last known", LMS_DETAILS)
    },
    "/api/cron/frappe-retry": JOBS,
    "/api/cron/retry-frappe-sync": _named_again(JOBS),
    "/api/cron/expire-grants": _cron(
        "expire_grants",
        "Expire overdue coupons",
        details={"overdue": NUMBER},
        done={"expired": NUMBER},
    ),
    "/api/admin/cache-stats": {
        "get": _get(
            "cache_stats",
            "Hits, misses and hit rate of the cached public pages, for staff and monitors",
            {
                "200": _json("The counts.", CACHE, list(CACHE)),
                "401": response_of(MONITOR_REFUSED),
                **refusal(ServiceUnavailable),
            },
            security=[{"Session": []}, {"MonitorToken": []}],
        )
    },
}
