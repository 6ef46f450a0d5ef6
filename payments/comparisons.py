"""What reconciliation compares with Stripe: events, sessions and delayed payments.

Some kinds are lists of what was made at Stripe since a day. The others are our own rows that are
not at their end, whenever they were made, and Stripe is asked about each.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from maaledu.work.items import DONE
from payments import (
    deliveries,
    gateway,
    ownership,
    rebuild,
    session_facts,
    settlement,
    unknown_words,
    webhooks,
)
from payments.gateway import Page
from payments.models import Payment, StripeEvent

ACTOR = "reconciliation"
AGREED, MENDED, UNMENDED, NOT_OURS = "agreed", "mended", "unmended", "not ours"
REBUILT = "rebuilt"  # mended, and to be named
Known = dict[Any, Any]


@dataclass(frozen=True)
class Finding:
    """What a comparison came to: one of the five words.

    `detail` says what is wrong where it is UNMENDED, and what is made again where it is REBUILT.
    `mend` changes what is ours, recorded as done by the actor it is given, and returns what came of
    that.
    """

    verdict: str
    detail: str = ""
    mend: Callable[[str], "Finding"] | None = None


@dataclass(frozen=True)
class Kind:
    """One kind of object: its pages, what is known of a page, and the comparison of one object."""

    name: str
    page: Callable[[datetime, str], Page]
    known: Callable[[list[Any]], Known]
    compare: Callable[[Any, Known], Finding]
    least_days_back: timedelta = timedelta()
    is_listed_by_stripe: bool = True


def texts_in(objects: list[dict[str, Any]], name: str) -> set[str]:
    return {text for each in objects if (text := gateway.text_of(each.get(name)))}


def unmended(problem: str) -> Finding:
    return Finding(UNMENDED, problem)


# --- rows of ours ---------------------------------------------------------------------------------
def rows_after(rows: QuerySet, after: str) -> Page:
    ordered = rows.filter(pk__gt=UUID(after)) if after else rows
    found = list(ordered.order_by("pk")[: gateway.PAGE_SIZE])
    return Page(found, str(found[-1].pk) if len(found) == gateway.PAGE_SIZE else "")


def nothing_known(rows: list[Any]) -> Known:
    """The row itself is what we know."""
    return {}


# --- events that could not be delivered -----------------------------------------------------------
def undelivered_events(since: datetime, after: str) -> Page:
    return gateway.undelivered_events_page(sorted(webhooks.HANDLERS), since, after)


def known_events(events: list[dict[str, Any]]) -> Known:
    stored = StripeEvent.objects.filter(event_id__in=texts_in(events, "id"))
    return dict(stored.values_list("event_id", "status"))


def compare_event(event: dict[str, Any], known: Known) -> Finding:
    if known.get(event["id"]) == DONE:
        return Finding(AGREED)
    checked = deliveries.checked(event)
    if _is_of_lost_session(checked):
        return Finding(NOT_OURS)  # the sessions come next
    return Finding(MENDED, mend=partial(_receive_event, checked))


def _is_of_lost_session(event: dict[str, Any]) -> bool:
    """Whether an event is about a session of ours whose payment is not here."""
    payload = event["data"].get("object") or {}
    if payload.get("object") != "checkout.session":
        return False
    payment_id = ownership.payment_id_in(payload.get("metadata"))
    return payment_id is not None and not Payment.objects.filter(pk=payment_id).exists()


def _receive_event(event: dict[str, Any], actor: str) -> Finding:
    """Apply the event; one whose effects are here already, or that is not about us, is no news."""
    outcome = webhooks.receive_fetched(event)
    if outcome == webhooks.KEPT:
        return unmended("its effects failed, and it is tried again (Admin › Stripe events)")
    return Finding(MENDED if outcome == webhooks.PROCESSED else AGREED)


# --- sessions and payments ------------------------------------------------------------------------
def known_payments(sessions: list[dict[str, Any]]) -> Known:
    ids = {ownership.payment_id_in(session.get("metadata")) for session in sessions}
    return Payment.objects.in_bulk(ids - {None})


def compare_session(session: dict[str, Any], known: Known) -> Finding:
    payment_id = ownership.payment_id_in(session.get("metadata"))
    if payment_id is None:
        return Finding(NOT_OURS)
    unknown_words.alert_of_words(session)
    payment = known.get(payment_id)
    if payment is None:
        return _compare_lost(session)
    if payment.stripe_session_id not in (None, session["id"]):
        return unmended(f"our payment {payment_id} has another session")
    return _compare_payment(payment, session)


def _compare_lost(session: dict[str, Any]) -> Finding:
    """Have a payment rebuilt that is not here, as after the restore of a backup.

    Raises CannotRebuild.
    """
    said = session.get("payment_status")
    if said != "unpaid" and not session_facts.is_settled(session):
        return unmended(f"our payment is missing, and Stripe says {said}")
    enrollment, payment = rebuild.read(session)
    detail = f"{payment} for enrollment {enrollment.pk}: {enrollment.course_title}"
    return Finding(REBUILT, detail, mend=partial(_rebuild, session, detail))


def _rebuild(session: dict[str, Any], detail: str, actor: str) -> Finding:
    rebuild.ensure(session)
    return Finding(REBUILT, detail)


def _compare_payment(payment: Payment, session: dict[str, Any]) -> Finding:
    if _agree(payment, session):
        return Finding(AGREED)
    return Finding(MENDED, mend=partial(_settle, payment, session))


def _settle(payment: Payment, session: dict[str, Any], actor: str) -> Finding:
    settlement.settle_session(payment, session, actor=actor)
    payment.refresh_from_db()
    if _agree(payment, session):
        return Finding(MENDED)
    return unmended(
        f"our payment {payment.pk} is {payment.status}, and Stripe says"
        f" {session.get('status')}, {session.get('payment_status')}"
    )


def _agree(payment: Payment, session: dict[str, Any]) -> bool:
    """Whether the payment says already what this complete session says."""
    if session_facts.is_settled(session):
        received = session_facts.received_from(payment, session)
        return payment.status == Payment.PAID and all(
            getattr(payment, name) == value for name, value in received.items()
        )
    ended = payment.status in (Payment.FAILED, Payment.PAID)
    if session.get("payment_status") != "unpaid" or session_facts.is_refused_by_bank(session):
        return ended
    return ended or payment.status == Payment.PROCESSING


def processing_payments(since: datetime, after: str) -> Page:
    return rows_after(Payment.objects.filter(status=Payment.PROCESSING), after)


def ask_about_payment(payment: Payment, known: Known) -> Finding:
    return _compare_payment(payment, gateway.retrieve_session(str(payment.stripe_session_id)))


KINDS = (
    Kind("undelivered events", undelivered_events, known_events, compare_event),
    Kind("sessions", gateway.sessions_page, known_payments, compare_session),
    Kind(
        "delayed payments",
        processing_payments,
        nothing_known,
        ask_about_payment,
        is_listed_by_stripe=False,
    ),
)
