"""Changing a program while approvals may take from its budget at the same time."""

from typing import Any

from django.utils import timezone

from grants.errors import ProgramInUse
from grants.models import Program


def change(program: Program, **changes: Any) -> None:
    """Write the changed columns of a program and nothing else: not what it has committed.

    Raises ProgramInUse where more is committed by now than a new budget allows, or anything at all
    in case of a new currency.
    """
    # One guarded UPDATE: a save of the whole row would overwrite what an approval has committed
    # since the form was loaded.
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
