"""Once a payout file was made it may be at the bank: what it pays is called off only by whoever
says that it is not.
"""

from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import User
from affiliates import payout_files, payouts
from affiliates.errors import FileWasMade, PayoutRefused
from affiliates.models import Affiliate, Payout, PayoutBatch
from operations import invariants
from tests.affiliates.payday import amounts, batch_in, draft, owed, state
from tests.affiliates.test_ledger import balance_of
from tests.concurrency import kinds, race

BATCHES, LINES = "/admin/affiliates/payoutbatch/", "/admin/affiliates/payout/"
REASON = {"reason": "Wrong month"}
ROUNDS = 5


def exported(boss: User) -> tuple[Affiliate, PayoutBatch]:
    affiliate = owed()
    batch = batch_in(PayoutBatch.RELEASED)
    payout_files.make_file(batch, by=boss)
    return affiliate, PayoutBatch.objects.get(pk=batch.pk)


def text_of(answer: Any) -> str:
    return answer.content.decode()


@pytest.mark.any_engine
def test_a_batch_whose_file_was_made_is_cancelled_only_by_who_says_that_it_was_not_sent(boss: User):
    affiliate, batch = exported(boss)
    before = state()
    with pytest.raises(FileWasMade, match="otherwise it is paid twice"):
        payouts.cancel_batch(batch, by=boss, reason="Wrong month")
    assert state() == before
    assert len(payouts.cancel_batch(batch, by=boss, reason="Wrong month", not_sent=True)) == 1
    assert balance_of(affiliate) == (0, 10_000, 0, 0)
    assert amounts(draft()) == [10_000]


@pytest.mark.parametrize("status", [PayoutBatch.RELEASED, PayoutBatch.PAID])
def test_so_is_one_payout_of_it(boss: User, status: str):
    affiliate, batch = exported(boss)
    if status == PayoutBatch.PAID:
        payouts.mark_paid(batch, by=boss, reference="BANK-1")
    before = state()
    with pytest.raises(FileWasMade):
        payouts.cancel(affiliate.payouts.get(), by=boss, reason="Wrong account")
    assert state() == before
    assert payouts.cancel(affiliate.payouts.get(), by=boss, reason="Sent back", not_sent=True)
    assert not payouts.cancel(affiliate.payouts.get(), by=boss, reason="Again")
    assert balance_of(affiliate) == (0, 10_000, 0, 0)


@pytest.mark.any_engine
def test_a_paid_batch_is_not_cancelled_whatever_is_said(boss: User):
    _, batch = exported(boss)
    payouts.mark_paid(batch, by=boss, reference="BANK-1")
    for not_sent in (False, True):
        with pytest.raises(
            PayoutRefused, match="This batch is paid and cannot be cancelled"
        ) as refused:
            payouts.cancel_batch(batch, by=boss, reason="Wrong month", not_sent=not_sent)
        assert refused.value.code == "PAYOUT_REFUSED"


@pytest.mark.any_engine
def test_the_office_shows_who_made_the_file_and_asks_for_the_tick(office: Client, boss: User):
    owed()
    batch = batch_in(PayoutBatch.RELEASED)
    url = f"{BATCHES}{batch.pk}/"
    assert "not_sent" not in text_of(office.get(f"{url}cancel/"))
    assert "File downloaded" not in text_of(office.get(f"{url}cancel/"))
    b"".join(office.post(f"{url}export/").streaming_content)
    batch.refresh_from_db()
    when = (
        f"{boss.email}, {batch.exported_at:%B} {batch.exported_at.day},"
        f" {batch.exported_at:%Y, %H:%M} UTC"
    )
    change = text_of(office.get(f"{url}change/"))
    assert ("file downloaded" in change.lower(), when in change) == (True, True)
    for decision in ("cancel", "paid", "release"):
        assert when in text_of(office.get(f"{url}{decision}/")), decision
    page = text_of(office.get(f"{url}cancel/"))
    assert "everybody in it would be paid twice" in page
    assert "The file was not sent to the bank or to PayPal" in page
    before = state()
    assert "otherwise it is paid twice" in text_of(office.post(f"{url}cancel/", REASON))
    assert state() == before
    assert "Cancelled: 1 payout, $100.00." in text_of(
        office.post(f"{url}cancel/", {**REASON, "not_sent": "on"}, follow=True)
    )


@pytest.mark.any_engine
def test_the_office_asks_for_the_tick_for_one_payout_too(office: Client, boss: User):
    affiliate, _ = exported(boss)
    page = f"{LINES}{affiliate.payouts.get().pk}/cancel/"
    assert "the affiliate is paid twice" in text_of(office.get(page))
    before = state()
    assert "otherwise it is paid twice" in text_of(office.post(page, REASON))
    assert state() == before
    office.post(page, {**REASON, "not_sent": "on"})
    assert Payout.objects.get().status == "cancelled"


@pytest.mark.any_engine
def test_the_command_line_asks_for_the_flag(boss: User):
    _, batch = exported(boss)
    before = state()
    command = ("payouts", "cancel", str(batch.pk), "--reason", "Wrong month", "--by", boss.email)
    with pytest.raises(CommandError, match="PAYOUT_FILE_WAS_MADE: The payout file was downloaded"):
        call_command(*command)
    assert state() == before
    call_command(*command, "--not-sent")
    assert PayoutBatch.objects.get().status == "cancelled"


@pytest.mark.parametrize("whole", [True, False], ids=["batch", "payout"])
def test_a_file_and_a_cancellation_at_once_never_both_happen(boss: User, whole: bool):
    """Either the file is made and the cancellation refused, or what is cancelled is not in the
    file.
    """
    for _ in range(ROUNDS):
        affiliate = owed()
        batch = batch_in(PayoutBatch.RELEASED)
        payout = affiliate.payouts.get()

        def make(key: Any = batch.pk) -> list[tuple[str, ...]]:
            return payout_files.make_file(PayoutBatch.objects.get(pk=key), by=boss).rows[1:]

        def cancel(key: Any = batch.pk, line: Any = payout.pk) -> Any:
            if whole:
                return payouts.cancel_batch(
                    PayoutBatch.objects.get(pk=key), by=boss, reason="Wrong month"
                )
            return payouts.cancel(Payout.objects.get(pk=line), by=boss, reason="Wrong account")

        made, cancelled = race(lambda thread, steps=(make, cancel): steps[thread](), threads=2)
        assert set(kinds([made, cancelled])) <= {"ok", "PayoutRefused", "FileWasMade"}, (
            made,
            cancelled,
        )
        is_in_file = isinstance(made, list) and payout_files.payment_id(payout.pk) in {
            row[4] for row in made
        }
        assert is_in_file is isinstance(cancelled, FileWasMade)
        assert Payout.objects.get(pk=payout.pk).status == (
            "released" if is_in_file else "cancelled"
        )
        assert invariants.verify() == []
