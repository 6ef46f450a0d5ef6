"""The files that the bank and PayPal take: one line for each payout of a released batch, with the
account unsealed.

PayPal reads five columns and no heading: recipient, amount, currency, an id of at most 30
characters, a note (developer.paypal.com, Payouts Web). The bank's file has a heading; its
end-to-end id is the same one.
"""

import binascii
from base64 import b32decode, b32encode
from collections.abc import Iterator
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

BANK_HEADING = ("payee_name", "iban", "amount", "currency", "end_to_end_id", "remittance_text")
EXPORTED = (PayoutBatch.RELEASED, PayoutBatch.PAID)
PADDING = "======"  # what base32 appends to 16 bytes


@dataclass(frozen=True)
class PayoutFile:
    name: str
    rows: list[tuple[str, ...]]


@atomic
def make_file(batch: PayoutBatch, *, by: User) -> PayoutFile:
    """Return the file of a released or paid batch, without the payouts that were cancelled, and
    note on the batch that it was made.

    Raises PayoutRefused, PayeeNotActive, CannotOpen.
    """
    exported = PayoutBatch.objects.filter(pk=batch.pk, status__in=EXPORTED)
    # Noted before anything is read: whoever cancels a payout is done by now, or finds the note.
    if not exported.update(exported_by=by, exported_at=timezone.now(), updated_at=timezone.now()):
        batch.refresh_from_db(fields=["status"])
        raise PayoutRefused(
            f"This batch is {batch.status}; there is a file for a released one only."
        )
    payees.refuse_waiting(payees.waiting(batch))
    payouts = batch.payouts.filter(status__in=EXPORTED).order_by("created_at", "pk")
    if batch.method == Affiliate.BANK:
        rows = [BANK_HEADING, *(_bank_row(payout, batch) for payout in payouts)]
    else:
        rows = [_paypal_row(payout, batch) for payout in payouts]
    return PayoutFile(
        f"payouts-{batch.method}-{batch.currency}-{batch.payable_on}-{batch.pk.hex[-8:]}.csv", rows
    )


def _bank_row(payout: Payout, batch: PayoutBatch) -> tuple[str, ...]:
    return (
        payout.payee_name,
        _account(payout),
        *_money(payout),
        payment_id(payout.pk),
        _note(batch),
    )


def _paypal_row(payout: Payout, batch: PayoutBatch) -> tuple[str, ...]:
    return (_account(payout), *_money(payout), payment_id(payout.pk), _note(batch))


def _money(payout: Payout) -> Iterator[str]:
    return iter((plain_amount(payout.amount, payout.currency), payout.currency.upper()))


def _account(payout: Payout) -> str:
    """An account is written as it is or not at all: one that a spreadsheet would run, and quoted,
    would be another one.
    """
    account = account_in(payout.details_sealed)
    if safe_cell(account) != account:
        raise PayoutRefused(
            f"The account of {payout.payee_name or payout.details_hint} is unsafe to put into a"
            " file. Cancel that payout."
        )
    return account


def _note(batch: PayoutBatch) -> str:
    return f"{settings.SITE_NAME} affiliate payout {batch.payable_on}"


def payment_id(pk: UUID) -> str:
    """Return by what the bank and PayPal know a payout: its key in 26 characters, capitals and
    digits.
    """
    return b32encode(pk.bytes).decode().rstrip("=")


def payout_of(text: str) -> UUID | None:
    """Return the payout that a payment id names, also when typed in small letters; None where it
    names none.
    """
    try:
        return UUID(bytes=b32decode(text.strip() + PADDING, casefold=True))
    except (binascii.Error, ValueError):
        return None
