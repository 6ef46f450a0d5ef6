"""The steps of a batch of payouts: drafted, released by somebody else, downloaded, paid."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

from django.db.models import Count, Sum
from django.http import HttpRequest

from accounts.models import AuditEntry, User
from affiliates import payees, payout_drafts, payout_files, payouts
from affiliates.errors import OwnAccount, PayoutRefused, SamePerson
from affiliates.models import Payout, PayoutBatch
from affiliates.own_account import refuse_own
from affiliates.payouts import sum_of
from maaledu.csv import csv_response
from office import payout_plan
from office.decisions import LIST, ONE_ROW, USER, Decision, Outcome
from office.fields import ReasonForm
from office.payout_forms import DraftForm, NotSentForm, ReferenceForm, ReleaseForm


def totals_of(batches: Iterable[PayoutBatch]) -> dict[UUID, tuple[int, int]]:
    """Return the count and the sum (minor units) of each batch's payouts but the cancelled ones."""
    payouts_of = Payout.objects.filter(batch_id__in=[batch.pk for batch in batches])
    live = payouts_of.exclude(status=Payout.CANCELLED)
    sums = live.order_by().values("batch_id").annotate(count=Count("pk"), amount=Sum("amount"))
    found = {row["batch_id"]: (row["count"], row["amount"]) for row in sums}
    return {batch.pk: found.get(batch.pk, (0, 0)) for batch in batches}


def _seen(batch: PayoutBatch) -> str:
    count, amount = totals_of([batch])[batch.pk]
    return f"{count}:{amount}"


def _why_not_release(batch: PayoutBatch, by: Any) -> str:
    """Return why this person cannot release the batch, by the rules of `payouts.release`; or ""."""
    if batch.drafted_by_id == by.pk:
        return SamePerson.message
    try:
        payees_of = batch.payouts.select_related("affiliate")
        refuse_own((payout.affiliate for payout in payees_of), by=by.get_username())
    except OwnAccount as error:
        return error.message
    return ""


def _draft(*, by: User, currency: str, method: str, payable_on: date) -> Outcome:
    run = payout_drafts.Run(currency, method, payable_on)
    batch = payout_drafts.draft(run, by=by)
    return Outcome("drafted", f"Drafted: {sum_of(batch.payouts.all(), batch)}.", row=batch)


def _release(batch: PayoutBatch, *, by: User, seen: str) -> Outcome:
    # Without this, somebody releases a sum that is not the one on the page they looked at.
    if seen != _seen(batch):
        raise PayoutRefused(
            "This batch has changed since its page was opened. Please look at it again."
        )
    released = payouts.release(batch, by=by)
    entry = f"released: {sum_of(released.payouts, batch)}"
    if released.cancelled:
        entry += f"; not covered any more and cancelled: {sum_of(released.cancelled, batch)}"
    return Outcome(entry)


def _mark_paid(batch: PayoutBatch, *, by: User, reference: str) -> Outcome:
    paid = payouts.mark_paid(batch, by=by, reference=reference)
    return Outcome(f"marked paid: {sum_of(paid, batch)}")


def _cancel(batch: PayoutBatch, *, by: User, reason: str, not_sent: bool = False) -> Outcome:
    cancelled = payouts.cancel_batch(batch, by=by, reason=reason, not_sent=not_sent)
    return Outcome(f"cancelled: {sum_of(cancelled, batch)}")


def _export(batch: PayoutBatch, *, by: User) -> Outcome:
    """Return the file with the accounts in the clear; each download leaves a history entry."""
    file = payout_files.make_file(batch, by=by)
    response = csv_response(file.name, file.rows)
    response["Cache-Control"] = "no-store"
    return Outcome(f"downloaded {file.name}", response=response)


class ReleaseDecision(Decision):
    """Says before the form is sent why this person cannot release the batch."""

    def make_form(self, rows: list[PayoutBatch], data: Any) -> ReleaseForm:
        return ReleaseForm(data, initial={"seen": _seen(rows[0])})

    def context(self, request: HttpRequest, rows: list[PayoutBatch], form: Any) -> dict[str, Any]:
        return {"refusal": _why_not_release(rows[0], request.user)}


class PayoutDecision(Decision):
    """Says before the form is sent which payees must not be paid now."""

    def context(self, request: HttpRequest, rows: list[PayoutBatch], form: Any) -> dict[str, Any]:
        return {"refusal": payees.describe_waiting(payees.waiting(rows[0]))}


class DraftDecision(Decision):
    """Shows before the form who would be paid, who would not and why, and the next runs."""

    def context(self, request: HttpRequest, rows: list[Any], form: Any) -> dict[str, Any]:
        if not form.is_bound:
            asked = {name: request.GET.get(name) for name in ("currency", "method")}
            form.initial = {name: value for name, value in asked.items() if value}
        return payout_plan.context()


DRAFT = DraftDecision(
    "Draft payouts",
    run=_draft,
    permission="draft",
    done="drafted",
    form=DraftForm,
    consequence="Nothing is paid yet: a colleague looks at the draft and releases it.",
    run_by=USER,
    scope=LIST,
    template="admin/affiliates/draft.html",
)
RELEASE = ReleaseDecision(
    "Release",
    run=_release,
    permission="release",
    done="released",
    form=ReleaseForm,
    consequence=(
        "The payouts are booked on the affiliates' accounts. Then the file can be downloaded and"
        " paid."
    ),
    statuses=(PayoutBatch.DRAFT,),
    run_by=USER,
    scope=ONE_ROW,
)
EXPORT = PayoutDecision(
    "Download the file",
    run=_export,
    permission="export",
    done="downloaded",
    kind=AuditEntry.EXPORTED,
    consequence=(
        "It has the accounts of the payees in full. Hand it to nobody else, and delete it when it"
        " is paid."
    ),
    statuses=payout_files.EXPORTED,
    run_by=USER,
    scope=ONE_ROW,
)
PAID = PayoutDecision(
    "Mark paid",
    run=_mark_paid,
    permission="settle",
    done="marked paid",
    form=ReferenceForm,
    consequence="Each affiliate gets an e-mail that their money is on its way.",
    statuses=(PayoutBatch.RELEASED,),
    run_by=USER,
    scope=ONE_ROW,
)
CANCEL = Decision(
    "Cancel batch",
    run=_cancel,
    permission="settle",
    done="cancelled",
    form=ReasonForm,
    consequence="Nothing of it is paid, and its entries are free for the next draft.",
    statuses=(PayoutBatch.DRAFT, PayoutBatch.RELEASED),
    run_by=USER,
    scope=ONE_ROW,
)
CANCEL_WITH_FILE = replace(
    CANCEL,
    form=NotSentForm,
    consequence=(
        "Its file was downloaded. If it is at the bank or at PayPal already, everybody in it would"
        " be paid twice: mark it paid instead."
    ),
)
