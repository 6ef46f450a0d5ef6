"""What is wrong with Stripe's deliveries: noticed from the deliveries themselves, alerted once.

Money that nobody hears of is found by reconciliation a day later; these problems are why.
"""

from datetime import timedelta

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from maaledu.db import atomic
from notifications.alerts import alert_staff
from payments import deliveries
from payments.errors import InvalidSignature
from payments.models import StripeEvent, WebhookProblem

REPEATED = 3  # bad signatures within COUNTED_FOR; anybody can send one
COUNTED_FOR = timedelta(days=1)
WRITTEN_EVERY = timedelta(minutes=10)
RECENT = timedelta(days=3)  # as long as Stripe delivers again
DEAF_AFTER = timedelta(days=1)
REFUND_EVENTS_SINCE = "2024-10-28"  # no refund.* for charges before (contracts/stripe, section 5)
PING = "v2.core.event_destination.ping"
ENDPOINTS = "Stripe's dashboard › Developers › Webhooks"


def note_bad_signature(error: InvalidSignature) -> None:
    """Count a delivery whose signature was refused, and alert staff when that repeats itself.

    A header that is not like Stripe's says nothing about our set-up, and does not count.
    """
    cause = error.details["cause"]
    if not cause or _count(cause) < REPEATED or not _is_due(cause):
        return
    if cause == deliveries.CLOCK:
        _record_wrong_clock(error.details["seconds"])
    else:
        _record_wrong_secret()


def note_delivery(event: StripeEvent) -> None:
    """Alert staff of the first event of the other mode, thin event, or event of another version."""
    if event.livemode != settings.STRIPE_LIVEMODE:
        if _is_due(WebhookProblem.MODE):
            _record_mode(event)
    elif event.payload.get("object") == deliveries.THIN:
        if event.type != PING and _is_due(WebhookProblem.THIN):
            _record_thin(event.type)
    elif event.api_version not in ("", settings.STRIPE_API_VERSION) and _is_due(event.api_version):
        _record_version(event.api_version)


def _count(cause: str) -> int:
    key = f"webhook-refused:{cause}"
    cache.add(key, 0, COUNTED_FOR.total_seconds())
    try:
        return cache.incr(key)
    except ValueError:  # it ran out between the two calls
        return 1


def _is_due(what: str) -> bool:
    """Whether a problem is to be written down now: each delivery shows it again."""
    return bool(cache.add(f"webhook-problem:{what}", 1, WRITTEN_EVERY.total_seconds()))


def _record_wrong_clock(seconds: int) -> None:
    direction = "ahead of" if seconds > 0 else "behind"
    explanation = f"Our clock is about {round(abs(seconds) / 60)} minutes {direction} Stripe's."
    _record(
        WebhookProblem(kind=WebhookProblem.CLOCK, explanation=explanation),
        "Stripe's events are refused: the clock of this server is wrong",
        [
            f"{explanation} Their signatures are right, and too far away in time to be accepted.",
            "Set the clock, and let it be set by itself (NTP). Stripe delivers again for 3 days.",
        ],
    )


def _record_wrong_secret() -> None:
    explanation = "The signatures are not made with a secret in STRIPE_WEBHOOK_SECRET."
    _record(
        WebhookProblem(kind=WebhookProblem.SECRET, explanation=explanation),
        "Stripe's events are refused: the signing secret is wrong",
        [
            f"{explanation} Payments are not noticed until they are reconciled at night.",
            (
                f"Compare it with the secret of our endpoint in {ENDPOINTS}; it changes when it is"
                " rolled there. If Stripe shows no failed deliveries, somebody else sends these."
            ),
        ],
    )


def _record_thin(event_type: str) -> None:
    explanation = "The endpoint sends thin events, which do not have the payment in them."
    _record(
        WebhookProblem(kind=WebhookProblem.THIN, explanation=explanation),
        "Stripe sends thin events: choose Snapshot",
        [
            f"{explanation} The first one is {event_type}.",
            (
                f"Make an endpoint with payload style Snapshot in {ENDPOINTS}, and delete this one."
                " Until then payments are noticed late."
            ),
        ],
        once=True,
    )


def _record_mode(event: StripeEvent) -> None:
    theirs, ours = ("live", "test") if event.livemode else ("test", "live")
    explanation = f"The endpoint sends events of {theirs} mode, and this shop is in {ours} mode."
    _record(
        WebhookProblem(kind=WebhookProblem.MODE, explanation=explanation),
        "Stripe sends events of the other mode (test or live)",
        [
            f"{explanation} The first one is {event.type} {event.event_id}. They change nothing.",
            (
                f"In {theirs} mode of {ENDPOINTS}, delete the endpoint with our address, and take"
                " its secret out of STRIPE_WEBHOOK_SECRET; or correct STRIPE_LIVEMODE here."
            ),
        ],
        once=True,
    )


def _record_version(version: str) -> None:
    _record(
        WebhookProblem(
            kind=WebhookProblem.VERSION, detail=version, explanation=_what_is_missing(version)
        ),
        "Stripe sends events of another API version",
        [
            f"Version {version}, and ours is {settings.STRIPE_API_VERSION}.",
            _what_is_missing(version),
            (
                "The version of an endpoint cannot be changed: make one with our version in"
                f" {ENDPOINTS}, and delete the old one."
            ),
        ],
        once=True,
    )


def _what_is_missing(version: str) -> str:
    if version < REFUND_EVENTS_SINCE:
        return "It has no events of refunds, so that Stripe is asked after each charge.refunded."
    return "Fields may be missing or have other names."


@atomic
def _record(problem: WebhookProblem, subject: str, lines: list[str], *, once: bool = False) -> None:
    """Write the problem down and alert staff: once a day, or once for good."""
    now = timezone.now()
    seen = {"explanation": problem.explanation, "last_at": now}
    WebhookProblem.objects.update_or_create(
        kind=problem.kind, detail=problem.detail, defaults=seen, create_defaults=seen
    )
    day = "" if once else f":{now:%Y%m%d}"
    alert_staff(key=f"webhook:{problem.kind}:{problem.detail}{day}", subject=subject, lines=lines)


def likely_cause() -> str:
    """Say why no event reported what reconciliation found, from what the deliveries showed."""
    now = timezone.now()
    seen = {
        problem.kind: problem
        for problem in WebhookProblem.objects.filter(last_at__gt=now - RECENT).order_by("last_at")
        if not problem.detail or problem.detail < REFUND_EVENTS_SINCE
    }
    for kind in WebhookProblem.KINDS:
        if kind in seen:
            problem = seen[kind]
            return f"{problem.explanation} Last seen {problem.last_at:%Y-%m-%d %H:%M} UTC."
    latest = last_delivered()
    if latest is None:
        return f"No event has ever arrived. Is there an endpoint with our address in {ENDPOINTS}?"
    if latest.created_at < now - DEAF_AFTER:
        return (
            f"No event has arrived since {latest.created_at:%Y-%m-%d %H:%M} UTC. Is the endpoint"
            f" in {ENDPOINTS} enabled, and does it have our address?"
        )
    return (
        "Other events arrive. `manage.py stripe_check` says whether our endpoint sends all of them,"
        f" and {ENDPOINTS} shows the deliveries that failed."
    )


def last_delivered() -> StripeEvent | None:
    """Return the event that reached us last, but for the one that only tries an endpoint."""
    delivered = StripeEvent.objects.filter(is_fetched=False).exclude(type=PING)
    return delivered.order_by("-created_at").first()
