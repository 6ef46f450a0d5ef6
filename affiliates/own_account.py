"""Nobody decides about their own money: a member of staff may be an affiliate, too.

Source: decisions, "payouts": no step that lets money out is one person's alone.
"""

from collections.abc import Iterable

from accounts.models import User
from affiliates.attribution import is_self
from affiliates.errors import OwnAccount
from affiliates.models import Affiliate


def refuse_own(affiliates: Iterable[Affiliate], *, by: str) -> None:
    """Raise OwnAccount where one of these is the person with the address `by` (`is_self`)."""
    email = by.strip().lower()
    user = User.objects.filter(email=email).first()
    for affiliate in affiliates:
        if is_self(affiliate, email=email, user=user):
            raise OwnAccount(affiliate=str(affiliate.pk), by=by)
