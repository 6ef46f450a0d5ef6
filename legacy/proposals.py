"""What staff do about a proposal of the import: book its difference, or leave it as it was paid."""

from django.utils import timezone

from affiliates import ledger
from affiliates.ledger import Adjustment
from affiliates.own_account import refuse_own
from legacy.errors import ProposalDecided, ProposalWithoutAffiliate
from legacy.models import ImportProposal
from maaledu.db import atomic, transition


@atomic
def accept(proposal: ImportProposal, *, by: str) -> bool:
    """Book the difference as one adjustment, once.

    Raises ProposalDecided, ProposalWithoutAffiliate and OwnAccount.
    """
    if proposal.affiliate is None:
        raise ProposalWithoutAffiliate
    refuse_own([proposal.affiliate], by=by)
    if not _decide(proposal, ImportProposal.ACCEPTED, by=by):
        raise ProposalDecided
    if proposal.difference:
        adjustment = Adjustment(
            key=f"legacy-proposal:{proposal.pk}",
            amount=proposal.difference,
            currency=proposal.currency,
            by=by,
            note=f"Correction of the old platform: {proposal.get_kind_display()}",
        )
        ledger.adjust(proposal.affiliate, adjustment)
    return True


@atomic
def refuse(proposal: ImportProposal, *, by: str) -> bool:
    """Leave everything as the old shop had it. Raises ProposalDecided and OwnAccount."""
    if proposal.affiliate:
        refuse_own([proposal.affiliate], by=by)
    if not _decide(proposal, ImportProposal.REFUSED, by=by):
        raise ProposalDecided
    return True


def _decide(proposal: ImportProposal, status: str, *, by: str) -> bool:
    return transition(proposal, status, decided_by=by[:254], decided_at=timezone.now())
