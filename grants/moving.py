"""Sending an application or an unused coupon to another address: what staff decide (fault E2).

What is used follows its enrollment instead (`enrollments.moving`).
"""

from django.utils import timezone

from grants import mails
from grants.codes import new_code
from grants.errors import AlreadyDecided, ApplicationOpen
from grants.models import Grant, GrantEvent, new_token
from maaledu.db import atomic, duplicate_means

MAILS = {Grant.PENDING: mails.RECEIVED, Grant.APPROVED: mails.APPROVED}


def move(grant: Grant, *, by: str, to: str, reason: str) -> Grant:
    """Move what is open to the address `to`, in normal form, and mail it there; return it.

    What the old address has is of no use any more: the page gets another link, a coupon another
    code. Raises AlreadyDecided, and ApplicationOpen where the new address has one in the course.
    """
    with duplicate_means(ApplicationOpen):
        return _move(grant, by=by, to=to, reason=reason)


@atomic
def _move(grant: Grant, *, by: str, to: str, reason: str) -> Grant:
    before = Grant.objects.get(pk=grant.pk)
    if before.status not in MAILS or before.email == to:
        raise AlreadyDecided("It is not open any more, or at this address already.")
    changes = {"email": to, "token": new_token(), "updated_at": timezone.now()}
    if before.code:
        changes |= {"code": new_code(), "code_number": before.code_number + 1}
    # Only as just read: of two clicks one would mail a link and a code that the other has ended.
    same = Grant.objects.filter(pk=before.pk, status=before.status, token=before.token)
    if same.update(**changes) != 1:
        raise AlreadyDecided
    event = GrantEvent.objects.record(before.pk, "moved to another address", by=by, note=reason)
    moved = Grant.objects.select_related("course").get(pk=before.pk)
    is_of_no_use = moved.status == Grant.APPROVED and not moved.course.is_on_sale
    kind = mails.OFF_SALE if is_of_no_use else MAILS[moved.status]
    mails.stage(kind, moved, key=f"moved:{event.pk}")
    return moved
