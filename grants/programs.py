"""What staff change of a program: what they edited and nothing else, beside the approvals that draw
on it at the same time.
"""

from typing import Any

from django.utils import timezone

from grants.errors import ProgramInUse
from grants.models import Program


def change(program: Program, **changes: Any) -> None:
    """Write the changed columns of a program by one guarded UPDATE; what it has committed is left
    alone.

    Raises ProgramInUse where more is committed by now than a new budget allows, or anything at all
    under a new currency.
    """
    room = Program.objects.filter(pk=program.pk)
    for budget, committed in (
        ("budget_amount", "committed_amount"),
        ("budget_grants", "committed_grants"),
    ):
        if changes.get(budget) is not None:
            room = room.filter(**{f"{committed}__lte": changes[budget]})
    if "currency" in changes:
        room = room.filter(committed_amount=0, committed_grants=0)
    if room.update(**changes, updated_at=timezone.now()) != 1:
        raise ProgramInUse
