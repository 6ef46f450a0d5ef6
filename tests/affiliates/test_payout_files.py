"""The files for the bank and for PayPal: exact amounts, accounts in the clear, and nothing that a
spreadsheet would run.
"""

import csv
import io
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from affiliates import payout_files, payouts
from affiliates.errors import PayoutRefused
from affiliates.models import Affiliate, Payout, PayoutBatch
from affiliates.payout_details import PayoutDetails
from affiliates.payout_files import make_file, payment_id, payout_of
from maaledu.csv import csv_response
from maaledu.vault import CannotOpen
from tests.affiliates.make import IBAN, make_affiliate, make_staff
from tests.affiliates.payday import PAYPAL, batch_in, draft, earn, owed

pytestmark = pytest.mark.any_engine

FORMULAS = [
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\tTab",
    "  =HYPERLINK(1)",
    '=1,"2";3',
]


def released(**of: str) -> PayoutBatch:
    batch = draft(**of)
    payouts.release(batch, by=make_staff())
    return batch


def written(batch: PayoutBatch) -> list[list[str]]:
    """Return the cells as whoever opens the file reads them."""
    file = make_file(batch, by=make_staff())
    content: Any = csv_response(file.name, file.rows).streaming_content
    return list(csv.reader(io.StringIO(b"".join(content).decode(), newline="")))


def test_the_bank_file_has_account_amount_and_id_of_each_payout():
    affiliate = owed(100_000)
    batch = released()
    heading, row = written(batch)
    assert heading == [
        "payee_name",
        "iban",
        "amount",
        "currency",
        "end_to_end_id",
        "remittance_text",
    ]
    expected = [
        "Ada Partner",
        IBAN,
        "100.00",
        "USD",
        payment_id(affiliate.payouts.get().pk),
        f"MaalEdu affiliate payout {batch.payable_on}",
    ]
    assert row == expected
    assert (
        make_file(batch, by=make_staff()).name
        == f"payouts-bank-usd-{batch.payable_on}-{batch.pk.hex[-8:]}.csv"
    )


def test_the_paypal_file_has_no_heading_and_five_columns():
    affiliate = owed(100_000, details=PAYPAL)
    batch = released(method="paypal")
    note = f"MaalEdu affiliate payout {batch.payable_on}"
    assert written(batch) == [
        ["ada@paypal.example", "100.00", "USD", payment_id(affiliate.payouts.get().pk), note]
    ]


def test_half_of_499_is_49_90_in_the_ledger_and_in_the_file(settings):
    """Requirement R211: the commission is on the price before the grant."""
    settings.PAYOUT_MINIMUM = 1000
    affiliate = make_affiliate()
    earn(affiliate, 49900)
    assert affiliate.entries.get().amount == 4990
    assert written(released())[1][2] == "49.90"


@pytest.mark.parametrize(
    ("currency", "price", "text"),
    [
        ("usd", 99_950, "99.95"),
        ("eur", 100_050, "100.05"),
        ("gbp", 12_345_670, "12345.67"),
        ("jpy", 50_000, "5000"),
        ("jpy", 123_450, "12345"),
    ],
)
def test_amounts_are_written_with_the_decimals_of_their_currency(
    currency: str, price: int, text: str
):
    owed_in = make_affiliate()
    earn(owed_in, price, currency=currency)
    assert written(released(currency=currency))[1][2:4] == [text, currency.upper()]


@pytest.mark.parametrize("name", FORMULAS)
def test_the_name_of_a_payee_runs_nothing_in_a_spreadsheet(name: str):
    owed(details=PayoutDetails(Affiliate.BANK, name, IBAN))
    assert written(released())[1][:2] == [f"'{name}", IBAN]


@pytest.mark.parametrize(
    "account", ["=cmd|x@example.com", "+tag@example.com", "-x@example.com", "@x.example"]
)
def test_an_account_is_never_altered_so_one_that_would_run_stops_the_file(account: str):
    """Quoted it would be another address, and somebody else's money."""
    owed(details=PAYPAL)
    odd = owed(details=PayoutDetails(Affiliate.PAYPAL, "Odd", account))
    batch = released(method="paypal")
    with pytest.raises(PayoutRefused, match="account of Odd is unsafe"):
        make_file(batch, by=make_staff())
    payouts.cancel(odd.payouts.get(), by=make_staff(), reason="Unsafe account")
    assert [row[0] for row in written(batch)] == ["ada@paypal.example"]


@pytest.mark.parametrize("status", [PayoutBatch.DRAFT, PayoutBatch.CANCELLED])
def test_there_is_no_file_of_what_nobody_released(status: str):
    owed()
    with pytest.raises(PayoutRefused, match=f"This batch is {status}"):
        make_file(batch_in(status), by=make_staff())


def test_a_cancelled_payout_is_not_in_the_file_also_after_the_batch_was_paid():
    ada, _ = owed(60_000), owed(70_000)
    batch = batch_in(PayoutBatch.PAID)
    assert [row[2] for row in written(batch)[1:]] == ["70.00", "60.00"]
    payouts.cancel(ada.payouts.get(), by=make_staff(), reason="Sent back", not_sent=True)
    assert [row[2] for row in written(batch)[1:]] == ["70.00"]


def test_the_file_has_the_account_of_the_draft():
    affiliate = owed()
    batch = released()
    Affiliate.objects.filter(pk=affiliate.pk).update(payout_sealed="", payee_name="Somebody else")
    assert written(batch)[1][:2] == ["Ada Partner", IBAN]


def test_details_sealed_with_a_lost_key_stop_the_file():
    owed()
    batch = released()
    Payout.objects.update(details_sealed="gAAAAABlost")
    with pytest.raises(CannotOpen):
        make_file(batch, by=make_staff())


@pytest.mark.every_engine
def test_a_file_that_was_made_is_noted_on_its_batch_and_one_that_was_not_is_not():
    owed()
    batch, first, second = released(), make_staff(), make_staff()
    sealed = Payout.objects.get().details_sealed
    Payout.objects.update(details_sealed="gAAAAABlost")
    with pytest.raises(CannotOpen):
        make_file(batch, by=first)
    assert (batch.exported_by, batch.exported_at) == (None, None)
    Payout.objects.update(details_sealed=sealed)
    for who in (first, second):
        asked_at = timezone.now()
        make_file(batch, by=who)
        noted = PayoutBatch.objects.get()
        assert (noted.exported_by, noted.exported_at >= asked_at - timedelta(milliseconds=1)) == (
            who,
            True,
        )


def test_an_id_is_short_enough_for_paypal_and_leads_back_to_the_payout():
    key = uuid4()
    written_id = payment_id(key)
    assert len(written_id) == 26
    assert written_id.isalnum()
    assert payout_of(written_id) == payout_of(f" {written_id.lower()} ") == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "BANK-1",
        "A" * 25,
        "A" * 27,
        "A" * 40,
        "é" * 26,
        "67e29089-4270-43c3-bf36-f0702c822d0a",
        "0" * 26,
    ],
)
def test_what_is_no_id_names_no_payout(text: str):
    assert payout_files.payout_of(text) is None
