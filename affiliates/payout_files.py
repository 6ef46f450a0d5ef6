"""The files that the bank and PayPal take: one row for each payout of a released batch.

PayPal reads five columns and no heading: recipient, amount, currency, an id of at most 30
characters, a note (developer.paypal.com, Payouts Web). The bank's file has a heading and the
holder's name in front; its end-to-end id is the same id.
"""

import binascii
from base64 import b32decode, b32encode
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from accounts.models import User
from affiliates import payees
from affiliates.errors import PayoutRefused
from affiliates.models import Affiliate, Payout, PayoutBatch
from affiliates.payout_details import account_in
from maaledu.csv import safe_cell
from maaledu.db import atomic
from maaledu.money import plain_amount

BANK_HEADING = ["payee_name", "iban", "amount", "currency", "end_to_end_id", "remittance_text"]
EXPORTED = (PayoutBatch.RELEASED, PayoutBatch.PAID)
PADDING = "======"  # what base32 appends to 16 bytes


@dataclass(frozen=True)
class PayoutFile:
    name: str
    rows: list[list[str]]


@atomic
def make_file(batch: PayoutBatch, *, by: User) -> PayoutFile:
    """Return the file of a released or paid batch, and record on the batch that it was made.

    Cancelled payouts are left out. Raises PayoutRefused, PayeeNotActive, CannotOpen.
    """
    exported = PayoutBatch.objects.filter(pk=batch.pk, status__in=EXPORTED)
    # Recorded before anything is read: whoever cancels a payout at this moment is done by now, or
    # finds the record. Otherwise a cancelled payout could be in a file at the bank.
    if not exported.update(exported_by=by, exported_at=timezone.now(), updated_at=timezone.now()):
        batch.refresh_from_db(fields=["status"])
        raise PayoutRefused(
            f"This batch is {batch.status}; there is a file for a released one only."
        )
    payees.refuse_waiting(payees.waiting(batch))
    payouts = batch.payouts.filter(status__in=EXPORTED).order_by("created_at", "pk")
    if batch.method == Affiliate.BANK:
        rows = [BANK_HEADING, *([payout.payee_name, *_row(payout, batch)] for payout in payouts)]
    else:
        rows = [_row(payout, batch) for payout in payouts]
    name = f"payouts-{batch.method}-{batch.currency}-{batch.payable_on}-{batch.pk.hex[-8:]}.csv"
    return PayoutFile(name, rows)


def _row(payout: Payout, batch: PayoutBatch) -> list[str]:
    return [
        _account(payout),
        plain_amount(payout.amount, payout.currency),
        payout.currency.upper(),
        payment_id(payout.pk),
        f"{settings.SITE_NAME} affiliate payout {batch.payable_on}",
    ]


def _account(payout: Payout) -> str:
    """Return the account as it is. Raises PayoutRefused for one that a spreadsheet would run.

    Quoted for the spreadsheet, it would be another account.
    """
    account = account_in(payout.details_sealed)
    if safe_cell(account) != account:
        raise PayoutRefused(
            f"The account of {payout.payee_name or payout.details_hint} is unsafe to put into a"
            " file. Cancel that payout."
        )
    return account


def payment_id(pk: UUID) -> str:
    """Return a payout's id for the bank and PayPal: its key in 26 capitals and digits."""
    # A UUID in its usual form has 36 characters; PayPal takes 30, and SEPA 35.
    return b32encode(pk.bytes).decode().rstrip("=")


def payout_of(text: str) -> UUID | None:
    """Return the payout with this payment id, in capitals or small letters; None without one."""
    try:
        return UUID(bytes=b32decode(text.strip() + PADDING, casefold=True))
    except (binascii.Error, ValueError):
        return None
