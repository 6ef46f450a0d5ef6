"""A program's budget: committed when a grant is approved, released when its coupon is not used.

Each grant keeps whether its program counts it (`holds_budget`), so that no share is counted or
released twice. A share is what the grant costs at the price of its approval; a price that changes
later changes nothing (decisions: grant price).
"""

import logging
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import F
from django.utils import timezone

from courses.discounts import discounted
from grants.errors import BudgetExceeded
from grants.models import Grant, Program

logger = logging.getLogger(__name__)

NOTHING_HELD: dict[str, Any] = {"committed_amount": 0, "holds_budget": False}


@dataclass(frozen=True)
class Share:
    """What a grant holds of a budget: `amount` (minor units), and one grant of the number.

    Without a program it holds nothing.
    """

    program_id: UUID | None
    amount: int


def share_of(grant: Grant) -> Share:
    return Share(grant.program_id if grant.holds_budget else None, grant.committed_amount)


def commit(program: Program, cost: int) -> None:
    """Take `cost` (minor units) and one grant from the budget.

    Raises BudgetExceeded, also for the slower of two at once.
    """
    fresh = Program.objects.get(pk=program.pk)
    # Only while the budget is the one just read: staff may lower it at the same moment, and the
    # room would be reckoned from the old one.
    same = {
        "currency": program.currency,
        "budget_amount": fresh.budget_amount,
        "budget_grants": fresh.budget_grants,
    }
    room = Program.objects.filter(pk=fresh.pk, **same)
    if fresh.budget_amount is not None:
        room = room.filter(committed_amount__lte=fresh.budget_amount - cost)
    if fresh.budget_grants is not None:
        room = room.filter(committed_grants__lt=fresh.budget_grants)
    more = {
        "committed_amount": F("committed_amount") + cost,
        "committed_grants": F("committed_grants") + 1,
    }
    if room.update(**more, updated_at=timezone.now()) != 1:
        raise BudgetExceeded(
            amount_left=fresh.amount_left, grants_left=fresh.grants_left, cost=cost
        )


def release(share: Share) -> None:
    """Put the share that a grant has just released back into its program's budget.

    Where the program has committed less than that its books are wrong: it is logged, and nothing
    goes below zero.
    """
    if share.program_id is None:
        return
    rows = Program.objects.filter(
        pk=share.program_id, committed_amount__gte=share.amount, committed_grants__gte=1
    )
    less = {
        "committed_amount": F("committed_amount") - share.amount,
        "committed_grants": F("committed_grants") - 1,
    }
    if rows.update(**less, updated_at=timezone.now()) != 1:
        logger.error(
            "a program has committed less than its grants hold",
            extra={"program": str(share.program_id)},
        )


def commit_again(grant: Grant) -> bool:
    """Count a coupon that released its share and is used after all; return whether it had room.

    It is counted without room too, because its holder has it: the program is then over its budget,
    and its figures show that.
    """
    cost = discounted(grant.price_at_approval or 0, grant.percent or 0, grant.currency).discount
    uncounted = Grant.objects.filter(pk=grant.pk, program_id__isnull=False, holds_budget=False)
    if grant.program_id is None or uncounted.update(committed_amount=cost, holds_budget=True) != 1:
        return True
    more = {
        "committed_amount": F("committed_amount") + cost,
        "committed_grants": F("committed_grants") + 1,
    }
    Program.objects.filter(pk=grant.program_id).update(**more, updated_at=timezone.now())
    return not Program.objects.get(pk=grant.program_id).is_overdrawn
