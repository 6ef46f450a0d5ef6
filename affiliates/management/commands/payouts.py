from datetime import date
from uuid import UUID

from django.contrib.admin.models import CHANGE, LogEntry
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts import audit
from accounts.models import AuditEntry, User
from affiliates import payout_drafts, payouts
from affiliates.models import Affiliate, PayoutBatch
from affiliates.payout_drafts import Run
from affiliates.payouts import sum_of
from maaledu.errors import AppError
from maaledu.money import CURRENCIES

METHODS = [method for method, _ in Affiliate.PAYABLE_METHODS]
PERMISSIONS = {"draft": "draft", "release": "release", "paid": "settle", "cancel": "settle"}


class Command(BaseCommand):
    help = (
        "Drafts, releases, marks paid or cancels a batch of payouts, in the name of one of the"
        " staff. Prints the batch's id first."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        steps = parser.add_subparsers(dest="step", required=True)
        draft = steps.add_parser("draft", help="draft what has become payable")
        draft.add_argument("--currency", required=True, choices=list(CURRENCIES))
        draft.add_argument("--method", required=True, choices=METHODS)
        draft.add_argument(
            "--payable-on", type=date.fromisoformat, help="YYYY-MM-DD, today without it"
        )
        release = steps.add_parser("release", help="release what somebody else drafted")
        paid = steps.add_parser(
            "paid", help="mark a released batch paid and send each affiliate a message"
        )
        paid.add_argument(
            "--reference", required=True, help="what the bank or PayPal calls the payment"
        )
        cancel = steps.add_parser("cancel", help="cancel a batch that is not paid")
        cancel.add_argument("--reason", required=True)
        cancel.add_argument(
            "--not-sent",
            action="store_true",
            help="its file was downloaded, and was not sent to the bank or to PayPal",
        )
        for step in (release, paid, cancel):
            step.add_argument("batch", type=UUID)
        for step in (draft, release, paid, cancel):
            step.add_argument(
                "--by", required=True, help="e-mail address of the member of staff who does this"
            )

    def handle(self, *args, **options) -> None:
        by = _staff(options["by"], options["step"])
        try:
            batch, done = STEPS[options["step"]](options, by)
        except AppError as error:
            raise CommandError(f"{error.code}: {error.message}") from error
        except PayoutBatch.DoesNotExist as error:
            raise CommandError("There is no such batch.") from error
        LogEntry.objects.log_actions(
            str(by.pk), [batch], CHANGE, f"{done} (command line)", single_object=True
        )
        audit.record(AuditEntry.DECIDED, f"{done} (command line)", by=by.email, about=batch)
        self.stdout.write(f"{batch.pk} {done}")


def _staff(email: str, step: str) -> User:
    user = User.objects.filter(email=email.strip().lower(), is_active=True, is_staff=True).first()
    if user is None or not user.has_perm(f"affiliates.{PERMISSIONS[step]}_payoutbatch"):
        raise CommandError(f"{email} is none of the staff who may do this.")
    return user


def _draft(options: dict, by: User) -> tuple[PayoutBatch, str]:
    day = options["payable_on"] or timezone.now().date()
    batch = payout_drafts.draft(Run(options["currency"], options["method"], day), by=by)
    return batch, f"drafted: {sum_of(batch.payouts.all(), batch)}"


def _release(options: dict, by: User) -> tuple[PayoutBatch, str]:
    batch = PayoutBatch.objects.get(pk=options["batch"])
    released = payouts.release(batch, by=by)
    done = f"released: {sum_of(released.payouts, batch)}"
    if released.cancelled:
        done += f"; not covered any more and cancelled: {sum_of(released.cancelled, batch)}"
    return batch, done


def _paid(options: dict, by: User) -> tuple[PayoutBatch, str]:
    batch = PayoutBatch.objects.get(pk=options["batch"])
    paid = payouts.mark_paid(batch, by=by, reference=options["reference"])
    return batch, f"paid: {sum_of(paid, batch)}"


def _cancel(options: dict, by: User) -> tuple[PayoutBatch, str]:
    batch = PayoutBatch.objects.get(pk=options["batch"])
    cancelled = payouts.cancel_batch(
        batch, by=by, reason=options["reason"], not_sent=options["not_sent"]
    )
    return batch, f"cancelled: {sum_of(cancelled, batch)}"


STEPS = {"draft": _draft, "release": _release, "paid": _paid, "cancel": _cancel}
