"""Delete an account, when nobody waits for an answer about its money."""

from django.utils.translation import gettext

from accounts.models import User
from enrollments import forgetting
from enrollments.errors import AccountInUse
from maaledu.db import atomic
from payments.models import Refund, RefundRequest


@atomic
def delete_account(user: User, *, by: str) -> None:
    """Do as `enrollments.forgetting.delete_account`, and forget why refunds were asked for.

    Raises AccountInUse as that does, and while a request is undecided or a refund is on its way:
    what is mailed of it goes to an address that would be gone.
    """
    emails = forgetting.addresses_of(user)
    requests = RefundRequest.objects.filter(payment__enrollment__email__in=emails)
    known = dict(requests.values_list("pk", "status"))
    if RefundRequest.OPEN in known.values():
        raise AccountInUse(
            gettext(
                "You have asked for a refund, and we have not answered yet. Please try again when"
                " you have our answer."
            )
        )
    refunds = Refund.objects.filter(payment__enrollment__email__in=emails)
    if refunds.filter(status__in=[Refund.REQUESTED, Refund.PENDING]).exists():
        raise AccountInUse(
            gettext(
                "A refund of yours is still on its way. Please try again when you have our e-mail"
                " about it."
            )
        )
    RefundRequest.objects.filter(pk__in=list(known)).update(reason="")
    forgetting.delete_account(user, by=by)
