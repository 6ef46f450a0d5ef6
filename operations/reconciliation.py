"""Reconciliation with Stripe as it is run each night and by hand: whom it alerts, and of what."""

from datetime import timedelta

from django.utils import timezone

from notifications.alerts import alert_staff
from payments import webhook_problems
from payments.errors import OUTAGE, ReconciliationIncomplete, StripeUnavailable
from payments.models import Reconciliation
from payments.reconcile import USUAL, reconcile

NOT_AT_STRIPE = (
    "Names of buyers, free enrollments (grants of 100 %), payouts to affiliates, and decisions of"
    " staff are not at Stripe: what is lost of them does not come back from there. Payouts made"
    " since the backup are owed again: book each as an adjustment before the next draft. Of free"
    " enrollments the LMS knows: `manage.py reconcile_lms --lost-since YYYY-MM-DD`, the day of the"
    " backup, names them."
)


def run_and_alert(*, since: timedelta = USUAL) -> list[Reconciliation]:
    """Reconcile, and alert staff once a day of what was found, and of what cannot be mended."""
    found = reconcile(since=since)
    day = f"{timezone.now():%Y%m%d}"
    if any(each.rebuilt for each in found):
        _alert_of_rebuilt(found, day)
    elif any(each.mended for each in found):
        alert_staff(
            key=f"reconciliation:found:{day}",
            subject="Stripe's events did not report everything",
            lines=[
                "Reconciliation found at Stripe, and put right here, what no event had reported:",
                *(f"{each.kind}: {each.mended}" for each in found if each.mended),
                f"Likely cause: {webhook_problems.likely_cause()}",
            ],
        )
    if any(each.unmended for each in found):
        alert_staff(
            key=f"reconciliation:unmended:{day}",
            subject="Some of what Stripe says cannot be reconciled",
            lines=[
                line
                for each in found
                if each.unmended
                for line in (f"{each.kind}: {each.unmended}", *each.problems)
            ],
        )
    return found


def _alert_of_rebuilt(found: list[Reconciliation], day: str) -> None:
    """Alert of what was made again after a restore, and of what does not come back that way."""
    alert_staff(
        key=f"reconciliation:rebuilt:{day}",
        subject="Purchases were rebuilt from Stripe",
        lines=[
            "They were paid, and were not here, as after the restore of a backup:",
            *(line for each in found for line in each.rebuilt_names.splitlines()),
            *(f"{each.kind}: {each.mended} put right" for each in found if each.mended),
            NOT_AT_STRIPE,
        ],
    )


def run_nightly() -> int:
    """Reconcile as each night, and return how much was mended.

    Raises StripeUnavailable or ReconciliationIncomplete in the end, when Stripe could not be asked
    about everything: for an outage that passes or a key of which staff are alerted already, or for
    another refusal.
    """
    found = run_and_alert()
    failures = [f"{each.kind}: {each.failure}" for each in found if each.failure]
    alerted = tuple(f"{error.code}:" for error in OUTAGE)
    if failures and all(each.failure.startswith(alerted) for each in found if each.failure):
        raise StripeUnavailable(" ".join(failures))
    if failures:
        raise ReconciliationIncomplete(" ".join(failures))
    return sum(each.mended for each in found)
