"""Signals for people to review. Nothing here refuses a purchase, a commission or a payout."""

from uuid import UUID

from django.utils import timezone

from affiliates.models import Affiliate, FraudSignal
from maaledu.db import transition


def note(
    affiliate: Affiliate, kind: str, *, key: str, detail: str, enrollment_id: UUID | None = None
) -> bool:
    """Record a signal once for each key, and return whether this call did."""
    # The unique key decides: two requests at once leave one signal.
    _, created = FraudSignal.objects.get_or_create(
        dedupe_key=f"{kind}:{key}"[:120],
        defaults={
            "affiliate": affiliate,
            "kind": kind,
            "detail": detail[:300],
            "enrollment_id": enrollment_id,
        },
    )
    return created


def decide(signal: FraudSignal, verdict: str, *, by: str, note: str = "") -> bool:
    """Clear or confirm a signal, and return whether this call did."""
    return transition(signal, verdict, reviewed_by=by, reviewed_at=timezone.now(), note=note[:300])


def note_shared_account(affiliate: Affiliate) -> bool:
    """Record that another affiliate is paid to the same account."""
    if not affiliate.payout_key:
        return False
    others = Affiliate.objects.filter(payout_key=affiliate.payout_key).exclude(pk=affiliate.pk)
    codes = sorted(others.values_list("code", flat=True))
    if not codes:
        return False
    key, detail = f"{affiliate.pk}:{affiliate.payout_key[:16]}", f"Also: {', '.join(codes[:10])}"
    return note(affiliate, FraudSignal.SHARED_ACCOUNT, key=key, detail=detail)
