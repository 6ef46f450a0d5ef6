"""What is kept of the applications of a person whose data is deleted: the decision, unnamed."""

from collections.abc import Collection

from django.utils import timezone

from accounts.closing import alias_of
from grants import applications
from grants.models import Grant, GrantEvent
from maaledu.db import transition

BY = "applicant"
WITHDRAWN = "Withdrawn: the account was deleted."


def forget(emails: Collection[str]) -> None:
    """End what is open, and take name, address and texts away. A coupon in use stays in use."""
    for grant in Grant.objects.filter(email__in=list(emails)):
        _end(grant)
        Grant.objects.filter(pk=grant.pk).update(
            name="",
            email=alias_of(grant.pk),
            situation="",
            motivation="",
            note="",
            redeemed_by=alias_of(grant.pk) if grant.redeemed_by else grant.redeemed_by,
            updated_at=timezone.now(),
        )


def _end(grant: Grant) -> None:
    if grant.status == Grant.APPROVED:
        applications.revoke(grant, by=BY, note=WITHDRAWN)
    elif grant.status == Grant.PENDING:
        now = timezone.now()
        if transition(grant, Grant.REJECTED, reject_reason="other", decided_by=BY, decided_at=now):
            GrantEvent.objects.record(grant.pk, "withdrawn", by=BY, note=WITHDRAWN)
