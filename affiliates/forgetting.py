"""What is kept of an affiliate whose account is deleted: the ledger, under no name."""

from django.utils import timezone

from accounts.closing import alias_of
from accounts.models import User
from affiliates import memberships
from affiliates.models import Affiliate, Balance, Payout, ReferralLabelDay

UNNAMED = "A former affiliate"


def owed(user: User) -> bool:
    """Whether something is still to be paid to this user, or by them, or to be decided."""
    rows = Balance.objects.filter(affiliate__user_id=user.pk).values_list("pending", "payable")
    # The balance is without what was released, and that is not paid yet.
    released = Payout.objects.filter(affiliate__user_id=user.pk, status=Payout.RELEASED)
    return any(pending or payable for pending, payable in rows) or released.exists()


def forget(user: User, *, by: str) -> None:
    """Close the user's affiliate account, if any, and take name and payout details away."""
    affiliate = Affiliate.objects.filter(user_id=user.pk).first()
    if affiliate is None:
        return
    memberships.close(affiliate, by=by, reason=memberships.ACCOUNT_CLOSED)
    # The labels are the affiliate's own words.
    ReferralLabelDay.objects.filter(affiliate_id=affiliate.pk).delete()
    alias = alias_of(affiliate.pk)
    Affiliate.objects.filter(pk=affiliate.pk).update(
        name=UNNAMED,
        email=alias,
        alias_key=alias,
        payout_method=Affiliate.LATER,
        payee_name="",
        payout_sealed="",
        payout_hint="",
        payout_key="",
        network_key="",
        sale_mails=Affiliate.NEVER,
        updated_at=timezone.now(),
    )
