"""What Stripe says of a dispute is kept as it said it last, in whatever order we hear of it."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from payments import reconcile
from payments.models import Dispute, Payment
from tests.affiliates.make import make_affiliate, make_staff, sell
from tests.affiliates.shop import buy, deliver_events
from tests.factories import deliver, dispute_of, disputed
from tests.sandbox_client import Sandbox

MINUTE = 60
START = 1_790_000_000
FIRST_DATE, LATER_DATE = START + 7 * 86400, START + 21 * 86400


def says(
    payment: Payment, at: int, status: str, due_by: int | None = FIRST_DATE, **fields: Any
) -> dict[str, Any]:
    """Return the event by which Stripe says, at this moment, how a dispute of this payment
    stands.
    """
    dispute = dispute_of(payment, status, evidence_details={"due_by": due_by}, **fields)
    return {**disputed(dispute, "charge.dispute.updated"), "created": at}


def standing(dispute: Dispute | None = None) -> tuple[str, str, int | None]:
    dispute = dispute or Dispute.objects.get()
    due_by = int(dispute.evidence_due_by.timestamp()) if dispute.evidence_due_by else None
    return dispute.status, dispute.stripe_status, due_by


def test_a_later_word_takes_the_place_of_the_first_one(client: Client):
    _, payment = sell(client, make_affiliate())
    deliver(client, says(payment, START, "needs_response"))
    answer = deliver(client, says(payment, START + MINUTE, "under_review", LATER_DATE))
    assert answer.json()["message"] == "Event processed"
    assert standing() == ("open", "under_review", LATER_DATE)
    assert Dispute.objects.get().reported_at == datetime.fromtimestamp(START + MINUTE, UTC)


def test_the_same_word_again_is_nothing_new_but_keeps_older_ones_away(client: Client):
    _, payment = sell(client, make_affiliate())
    told = [
        deliver(client, says(payment, START + at, status)).json()["message"]
        for at, status in (
            (0, "under_review"),
            (2 * MINUTE, "under_review"),
            (MINUTE, "needs_response"),
        )
    ]
    assert told == ["Event processed", "Dispute already recorded", "Dispute already recorded"]
    assert standing() == ("open", "under_review", FIRST_DATE)


LIVES: dict[str, tuple[list[tuple[int, str, int | None]], tuple[str, str, int | None]]] = {
    "lost": (
        [(0, "needs_response", FIRST_DATE), (1, "under_review", LATER_DATE), (2, "lost", None)],
        ("lost", "lost", None),
    ),
    "won": (
        [
            (0, "warning_needs_response", FIRST_DATE),
            (1, "needs_response", LATER_DATE),
            (2, "won", None),
        ],
        ("won", "won", None),
    ),
    "all within a second": (
        [(0, "needs_response", 1), (0, "under_review", 2), (0, "won", 3)],
        ("won", "won", 3),
    ),
    "an inquiry": (
        [
            (0, "warning_needs_response", 1),
            (0, "warning_under_review", 2),
            (0, "warning_closed", 3),
        ],
        ("warning", "warning_closed", 3),
    ),
    "a word that is new": (
        [(0, "lost", None), (1, "appeal_under_review", LATER_DATE)],
        ("lost", "appeal_under_review", LATER_DATE),
    ),
    "won after all": (
        [(0, "needs_response", 1), (1, "lost", 2), (2, "won", 3)],
        ("lost", "won", 3),
    ),
}


@pytest.mark.parametrize("name", LIVES)
def test_in_whatever_order_it_is_told_the_newest_word_stands(client: Client, name: str):
    """Contracts, I5: the end is a function of the set of events."""
    words, end = LIVES[name]
    for order in itertools.permutations(words):
        _, payment = sell(client, make_affiliate())
        for at, status, due_by in order:
            assert deliver(client, says(payment, START + at, status, due_by)).status_code == 200
        assert standing(Dispute.objects.get(payment=payment)) == end, order


@pytest.mark.parametrize("created", ["yesterday", None, -1, 2**40, 1.5])
def test_a_moment_that_is_none_counts_as_the_oldest(client: Client, created: Any):
    _, payment = sell(client, make_affiliate())
    deliver(client, {**says(payment, 0, "needs_response"), "created": created})
    assert standing() == ("open", "needs_response", FIRST_DATE)
    deliver(client, says(payment, START, "under_review"))
    deliver(client, {**says(payment, 0, "needs_response"), "created": created})
    assert standing() == ("open", "under_review", FIRST_DATE)


def test_a_dispute_from_before_moments_were_kept_takes_the_next_word(client: Client):
    _, payment = sell(client, make_affiliate())
    deliver(client, says(payment, START, "needs_response"))
    Dispute.objects.update(reported_at=None)
    deliver(client, says(payment, START - MINUTE, "under_review", LATER_DATE))
    assert standing() == ("open", "under_review", LATER_DATE)


def test_the_nightly_look_keeps_the_word_that_no_event_brought(sandbox: Sandbox):
    _, payment = buy(sandbox, through=make_affiliate())
    sandbox.dispute(payment.stripe_payment_intent_id)
    deliver_events(sandbox)
    sandbox.close_dispute(Dispute.objects.get().stripe_dispute_id, "under_review")
    since = timedelta(hours=48)
    Dispute.objects.update(reported_at=datetime.fromtimestamp(START, UTC))
    assert reconcile.record_missed_disputes(since=since) == 1
    assert standing()[:2] == ("open", "under_review")
    assert reconcile.record_missed_disputes(since=since) == 0


def test_the_office_shows_what_stripe_said_last(client: Client):
    _, payment = sell(client, make_affiliate())
    deliver(client, says(payment, START, "needs_response"))
    deliver(client, says(payment, START + MINUTE, "under_review", LATER_DATE))
    client.force_login(make_staff())
    dispute = Dispute.objects.get()
    for page in ("dispute/", f"dispute/{dispute.pk}/change/", f"payment/{payment.pk}/change/"):
        shown = client.get(f"/admin/payments/{page}").content.decode()
        assert "under_review" in shown, page
        assert "needs_response" not in shown, page
