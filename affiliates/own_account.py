"""Nobody decides about money of their own: whoever works in the office may be an affiliate, too.

Source: decisions, "payouts": no step that lets money out is one person's alone.
"""

from collections.abc import Iterable

from accounts.models import User
from affiliates.attribution import is_self
from affiliates.errors import OwnAccount
from affiliates.models import Affiliate


def refuse_own(affiliates: Iterable[Affiliate], *, by: str) -> None:
    """Raise OwnAccount where one of these is whoever has the address `by`: the rule of
    self-referral, `attribution.is_self`.
    """
    user = User.objects.filter(email=by.strip().lower()).first()
    for affiliate in affiliates:
        if is_self(affiliate, email=by.strip().lower(), user=user):
            raise OwnAccount(affiliate=str(affiliate.pk), by=by)
