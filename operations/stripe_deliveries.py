"""What Stripe has delivered to us lately, and what it could not deliver."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from maaledu.diagnosis import Result
from payments import deliveries, gateway, ownership, webhooks
from payments.models import Payment, Reconciliation, StripeEvent, WebhookProblem
from payments.webhook_problems import ENDPOINTS, last_delivered

LOOKED_BACK = timedelta(days=3)  # as long as Stripe delivers again
UNDER_WAY = timedelta(minutes=2)
Event = dict[str, Any]


def examine() -> Result:
    """Say whether Stripe's last deliveries reached us. Raises StripeUnavailable, StripeRefused."""
    now = timezone.now()
    page = gateway.undelivered_events_page(sorted(webhooks.HANDLERS), now - LOOKED_BACK, "")
    lost = _not_delivered([event for event in page.objects if _made_at(event) < now - UNDER_WAY])
    last = last_delivered()
    if _is_failing(lost, last):
        return _failed(len(lost), last)
    if count := _count_missing(now):
        return _missing(count)
    if last is None:
        return Result(
            "deliveries",
            ok=True,
            is_tried=False,
            message="No event has reached us yet. Buy a course in test mode, and look again.",
        )
    before = f"; {len(lost)} before it did not, and were fetched" if lost else ""
    return Result(
        "deliveries",
        ok=True,
        message=f"the last event reached us {last.created_at:%Y-%m-%d %H:%M} UTC{before}",
    )


def is_last_thin() -> bool:
    last = last_delivered()
    return last is not None and last.payload.get("object") == deliveries.THIN


def _made_at(event: Event) -> datetime:
    return datetime.fromtimestamp(event["created"], UTC)


def _not_delivered(listed: list[Event]) -> dict[str, tuple[datetime, bool]]:
    """Return when each event that never reached us was made, and whether it was fetched since.

    Stripe lists what any endpoint of the account has not taken; that may be another product's.
    """
    made = {event["id"]: _made_at(event) for event in listed}
    stored = StripeEvent.objects.filter(event_id__in=list(made))
    is_fetched = dict(stored.values_list("event_id", "is_fetched"))
    return {
        name: (at, name in is_fetched) for name, at in made.items() if is_fetched.get(name, True)
    }


def _is_failing(lost: dict[str, tuple[datetime, bool]], last: StripeEvent | None) -> bool:
    """Whether something was lost and is not known here, or nothing has reached us since a loss."""
    return any(
        not is_known or last is None or made_at > last.created_at
        for made_at, is_known in lost.values()
    )


def _count_missing(now: datetime) -> int:
    """Count the newest events that Stripe says it delivered, or had nowhere to deliver to, and that
    are not here.

    Not those from before our first one, nor from before a reconciliation: it has looked at what
    they report. Where none has ever come, only those about our own payments: others may be another
    product's, or older than our endpoint.
    """
    first = StripeEvent.objects.order_by("created_at").first()
    since = max(now - LOOKED_BACK, first.created_at) if first else now - LOOKED_BACK
    compared = Reconciliation.objects.filter(kind="sessions").exclude(finished_at=None).first()
    if compared:
        since = max(since, compared.started_at)
    listed = gateway.newest_delivered_events(sorted(webhooks.HANDLERS), since).objects
    made = [event for event in listed if since < _made_at(event) < now - UNDER_WAY]
    if first is None:
        return _count_ours(made)
    ids = {event["id"] for event in made}
    known = StripeEvent.objects.filter(event_id__in=ids).values_list("event_id", flat=True)
    return len(ids - set(known))


def _count_ours(events: list[Event]) -> int:
    """Count the events that name a payment which is here."""
    named = [ownership.payment_id_in(event["data"]["object"].get("metadata")) for event in events]
    ids = {payment_id for payment_id in named if payment_id}
    here = set(Payment.objects.filter(pk__in=ids).values_list("pk", flat=True))
    return sum(each in here for each in named)


def _missing(count: int) -> Result:
    return Result(
        "deliveries",
        ok=False,
        message=(
            f"{count} of the newest events are not here, and Stripe has nobody to deliver them to:"
            " there is no endpoint for them, or our database was restored from a backup."
        ),
        advice=(
            f"See in {ENDPOINTS} whether our endpoint is there; then run"
            " `manage.py reconcile_stripe`."
        ),
    )


def _failed(count: int, last: StripeEvent | None) -> Result:
    since = f"The last that did came {last.created_at:%Y-%m-%d %H:%M} UTC." if last else ""
    return Result(
        "deliveries",
        ok=False,
        message=" ".join(
            filter(
                None,
                (
                    f"{count} of the last {LOOKED_BACK.days} days' events did not reach us.",
                    since,
                    _cause(last),
                ),
            )
        ),
        advice=(
            f"See in {ENDPOINTS}, at the failed deliveries, what we answered, and mend that; then"
            " run `manage.py reconcile_stripe`."
        ),
    )


def _cause(last: StripeEvent | None) -> str:
    """Return what refused deliveries have shown since the last one that was accepted."""
    problems = WebhookProblem.objects.filter(kind__in=[WebhookProblem.SECRET, WebhookProblem.CLOCK])
    if last:
        problems = problems.filter(last_at__gt=last.created_at)
    problem = problems.order_by("-last_at").first()
    return problem.explanation if problem else ""
