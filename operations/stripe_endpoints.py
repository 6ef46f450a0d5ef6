"""Our webhook endpoint at Stripe: what is right or wrong with it, and a new one."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.urls import Resolver404, resolve, reverse

from maaledu.diagnosis import Result
from operations import stripe_deliveries
from payments import webhooks
from payments.errors import StripeRefused
from payments.stripe_calls import ask, client
from payments.webhook_problems import ENDPOINTS, REFUND_EVENTS_SINCE

Endpoint = dict[str, Any]
WEBHOOK = "api_webhook"
ADDRESSES = (WEBHOOK, "stripe_webhook")
ENABLED, THIN, EVERYTHING = "enabled", "thin", "*"
MOST_NAMED = 5
ALL = {"limit": 100}  # Stripe allows an account 16
MAKE_ONE = "`manage.py stripe_check --create-endpoint` makes a right one"


def address() -> str:
    """Return the address that Stripe is to deliver to."""
    return settings.SITE_URL + reverse(WEBHOOK)


def events() -> list[str]:
    """Return exactly the types of events that we handle."""
    return sorted(webhooks.HANDLERS)


def _listed() -> list[Endpoint]:
    return ask(client(interactive=True).v1.webhook_endpoints.list, ALL)["data"]


def examine(*, may_read_events: bool) -> Iterator[Result]:
    """Yield a result for each property of our endpoint, or one where there is none.

    Raises StripeUnavailable, StripeRefused.
    """
    found = _listed()
    ours = [endpoint for endpoint in found if _is_ours(endpoint.get("url"))]
    payload = _payload()
    if not ours:
        # A destination of thin events is not in this list, and is what is wrong then.
        yield _missing(found) if payload.ok else payload
        return
    enabled = [endpoint for endpoint in ours if endpoint.get("status") == ENABLED]
    endpoint = max(enabled or ours, key=_made_at)
    yield _only_one(endpoint, enabled)
    yield _enabled(endpoint, enabled)
    yield _version(endpoint, may_read_events=may_read_events)
    yield _complete(endpoint)
    yield payload


def _made_at(endpoint: Endpoint) -> int:
    return endpoint.get("created") or 0


def _is_ours(url: Any) -> bool:
    """Whether this is an address at which we take events, not one that only redirects there."""
    parts, ours = urlsplit(url if isinstance(url, str) else ""), urlsplit(settings.SITE_URL)
    if (parts.scheme, parts.netloc.lower()) != (ours.scheme, ours.netloc.lower()):
        return False
    try:
        return resolve(parts.path).url_name in ADDRESSES
    except Resolver404:
        return False


def _missing(found: list[Endpoint]) -> Result:
    others = sorted({str(endpoint.get("url")).partition("?")[0] for endpoint in found})
    named = f" Those there are: {', '.join(others[:MOST_NAMED])}." if others else ""
    return Result(
        "endpoint",
        ok=False,
        message=f"No webhook endpoint has our address, {address()}.{named}",
        advice=(
            f"{MAKE_ONE}; or add one in {ENDPOINTS} › Add destination, with exactly this address:"
            " Stripe takes a redirect for a failure."
        ),
    )


def _only_one(endpoint: Endpoint, enabled: list[Endpoint]) -> Result:
    if len(enabled) < 2:
        return Result("endpoint", ok=True, message=f"{endpoint['id']} has our address")
    others = ", ".join(each["id"] for each in enabled if each is not endpoint)
    return Result(
        "endpoint",
        ok=False,
        message=f"{endpoint['id']} and {others} have our address, so that each event comes again.",
        advice=f"Once the secret of {endpoint['id']} is set here, delete {others} in {ENDPOINTS}.",
    )


def _enabled(endpoint: Endpoint, enabled: list[Endpoint]) -> Result:
    if enabled:
        return Result("enabled", ok=True, message="Stripe delivers to it")
    return Result(
        "enabled",
        ok=False,
        message=f"{endpoint['id']} is disabled: by somebody, or by Stripe after failed deliveries.",
        advice=f"{ENDPOINTS} › {endpoint['id']} › Enable; then `manage.py reconcile_stripe`.",
    )


def _version(endpoint: Endpoint, *, may_read_events: bool) -> Result:
    version = endpoint.get("api_version") or (_default_version() if may_read_events else "")
    if not version:
        return Result(
            "version",
            ok=True,
            is_tried=False,
            message="It has the account's API version, which the first event will show.",
        )
    whose = "its own" if endpoint.get("api_version") else "the account's"
    if version >= REFUND_EVENTS_SINCE:
        return Result("version", ok=True, message=f"{version}, {whose}")
    return Result(
        "version",
        ok=False,
        message=(
            f"Its API version is {version}, {whose}. Before {REFUND_EVENTS_SINCE} there are no"
            " events of refunds."
        ),
        advice=(
            f"It cannot be changed. {MAKE_ONE}; or add one in {ENDPOINTS} › Add destination, with"
            f" API version {settings.STRIPE_API_VERSION}. Then delete {endpoint['id']}."
        ),
    )


def _default_version() -> str:
    """Return the account's API version, which its events have, or "" where there is none yet."""
    newest = ask(client(interactive=True).v1.events.list, {"limit": 1})["data"]
    return (newest[0].get("api_version") or "") if newest else ""


def _complete(endpoint: Endpoint) -> Result:
    sent = set(endpoint.get("enabled_events") or [])
    missing = [] if EVERYTHING in sent else [kind for kind in events() if kind not in sent]
    superfluous = sorted(sent - set(events()))
    where = f"{ENDPOINTS} › {endpoint['id']} › Edit destination › Events"
    more = f" It also sends what we ignore: {', '.join(superfluous)}." if superfluous else ""
    if missing:
        return Result(
            "events",
            ok=False,
            message=f"It does not send {', '.join(missing)}.{more}",
            advice=f"Choose them in {where}; then `manage.py reconcile_stripe`.",
        )
    return Result(
        "events",
        ok=True,
        message=f"it sends all {len(events())} that we handle.{more}",
        advice=f"What we ignore can be taken out in {where}." if superfluous else "",
    )


def _payload() -> Result:
    thin = _thin_destination()
    if not thin:
        return Result("payload", ok=True, message="Snapshot")
    return Result(
        "payload",
        ok=False,
        message=f"{thin} sends us thin events, which do not have the payment in them.",
        advice=(
            f"{MAKE_ONE}; or add one in {ENDPOINTS} › Add destination, with payload style"
            f" Snapshot. Then delete {thin}."
        ),
    )


def _thin_destination() -> str:
    """Return which event destination sends us thin events, or "".

    Only Stripe's newer list has them; for a key that may not read it, the last delivery says it.
    """
    query = {"include": ["webhook_endpoint.url"], **ALL}
    destinations: Any = client(interactive=True).v2.core.event_destinations
    try:
        found = ask(destinations.list, query)["data"]
    except StripeRefused:
        return "The endpoint" if stripe_deliveries.is_last_thin() else ""
    for each in found:
        is_thin = each.get("event_payload") == THIN and each.get("status") == ENABLED
        if is_thin and _is_ours((each.get("webhook_endpoint") or {}).get("url")):
            return str(each.get("id"))
    return ""


def right_one() -> str:
    """Return the id of an endpoint that is already as `create` makes one, or "".

    Raises StripeUnavailable, StripeRefused.
    """
    wanted = (ENABLED, settings.STRIPE_API_VERSION, events())
    for endpoint in _listed():
        kinds = sorted(endpoint.get("enabled_events") or [])
        has = (endpoint.get("status"), endpoint.get("api_version"), kinds)
        if has == wanted and _is_ours(endpoint.get("url")):
            return str(endpoint["id"])
    return ""


def create() -> Endpoint:
    """Make an endpoint with our address, version and events, and return it with its secret.

    Only this answer has the secret; it is neither stored nor logged. Raises StripeUnavailable,
    StripeRefused.
    """
    params: Any = {
        "url": address(),
        "enabled_events": events(),
        "api_version": settings.STRIPE_API_VERSION,
        "description": settings.SITE_NAME,
    }
    return ask(client().v1.webhook_endpoints.create, params)
