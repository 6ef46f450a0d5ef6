"""Nothing goes out to an affiliate who is not active, also when it was released before: staff
cancel it, or reinstate them.
"""

from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import User
from affiliates import memberships, payout_files, payouts
from affiliates.errors import PayeeNotActive
from affiliates.models import Affiliate, Payout, PayoutBatch
from notifications.models import Email
from tests.affiliates.make import IBAN
from tests.affiliates.payday import amounts, batch_in, draft, owed, state
from tests.affiliates.rivals import rival_before
from tests.affiliates.test_ledger import balance_of
from tests.concurrency import kinds, race

pytestmark = pytest.mark.any_engine

BATCHES, LINES = "/admin/affiliates/payoutbatch/", "/admin/affiliates/payout/"
ROUNDS = 5


def suspended_after_the_release(
    end: Any = memberships.suspend,
) -> tuple[Affiliate, Affiliate, PayoutBatch]:
    """Return somebody who is not active any more, somebody who is, and the released batch that both
    are in.
    """
    gone, other = owed(60_000, name="Gone"), owed(70_000, name="Other")
    batch = batch_in(PayoutBatch.RELEASED)
    assert end(gone, by="staff@example.com", reason="A question")
    return gone, other, batch


def text_of(answer: Any) -> str:
    return answer.content.decode()


@pytest.mark.parametrize(
    ("end", "status"), [(memberships.suspend, "suspended"), (memberships.close, "closed")]
)
def test_what_was_released_for_them_is_neither_in_a_file_nor_marked_paid(
    boss: User, end: Any, status: str
):
    gone, _, batch = suspended_after_the_release(end)
    before = state()
    words = (
        rf"Gone \({gone.code}\) is {status}, \$60.00. Cancel that payout, and its entries come"
        r" back; or reinstate the affiliate."
    )
    with pytest.raises(PayeeNotActive, match=words):
        payout_files.make_file(batch, by=boss)
    with pytest.raises(PayeeNotActive, match=words):
        payouts.mark_paid(batch, by=boss, reference="BANK-1")
    with pytest.raises(PayeeNotActive):
        payouts.mark_paid(PayoutBatch.objects.get(), by=boss, reference="BANK-1")
    assert (state(), Email.objects.filter(kind="affiliate_payout").count()) == (before, 0)


def test_without_that_payout_the_others_go_and_its_entries_come_back(boss: User):
    gone, _, batch = suspended_after_the_release()
    assert payouts.cancel(gone.payouts.get(), by=boss, reason="Suspended")
    assert [row[2] for row in payout_files.make_file(batch, by=boss).rows[1:]] == ["70.00"]
    assert [payout.amount for payout in payouts.mark_paid(batch, by=boss, reference="BANK-1")] == [
        7000
    ]
    assert balance_of(gone) == (0, 6000, 0, 0)
    memberships.approve(gone, by="staff@example.com")
    assert amounts(draft()) == [6000]


def test_when_they_are_reinstated_the_payout_goes_out_as_it_was_released(boss: User):
    gone, _, batch = suspended_after_the_release()
    memberships.approve(gone, by="staff@example.com")
    assert sorted(row[2] for row in payout_files.make_file(batch, by=boss).rows[1:]) == [
        "60.00",
        "70.00",
    ]
    assert len(payouts.mark_paid(batch, by=boss, reference="BANK-1")) == 2


def test_the_file_of_a_paid_batch_still_says_what_was_paid(boss: User):
    affiliate = owed()
    batch = batch_in(PayoutBatch.PAID)
    memberships.suspend(affiliate, by="staff@example.com", reason="A question")
    assert [row[2] for row in payout_files.make_file(batch, by=boss).rows[1:]] == ["100.00"]


def test_the_office_shows_which_payout_waits_and_what_to_do(office: Client):
    gone, _, batch = suspended_after_the_release()
    url = f"{BATCHES}{batch.pk}/"
    before = state()
    for decision, typed in (("change", None), ("export", {}), ("paid", {"reference": "BANK-1"})):
        page = text_of(office.get(f"{url}{decision}/"))
        assert f"Gone ({gone.code}) is suspended, $60.00. Cancel that payout" in page, decision
        assert 'name="decide"' not in page
        if typed is not None:
            answer = office.post(f"{url}{decision}/", typed)
            assert (answer.status_code, answer.has_header("Content-Disposition")) == (200, False)
            assert "is suspended, $60.00" in text_of(answer)
            assert IBAN not in text_of(answer)
    assert f"{LINES}{gone.payouts.get().pk}/cancel/" in text_of(office.get(f"{url}change/"))
    assert state() == before
    office.post(f"{LINES}{gone.payouts.get().pk}/cancel/", {"reason": "Suspended"})
    assert "Cancel that payout" not in text_of(office.get(f"{url}change/"))
    assert "70.00" in b"".join(office.post(f"{url}export/").streaming_content).decode()


def test_a_batch_with_many_who_wait_names_some_of_them(office: Client):
    gone = [owed() for _ in range(6)]
    batch = batch_in(PayoutBatch.RELEASED)
    for affiliate in gone:
        memberships.suspend(affiliate, by="staff@example.com", reason="A question")
    assert "and 1 more. Cancel that payout" in text_of(office.get(f"{BATCHES}{batch.pk}/change/"))


def test_the_command_line_refuses_with_the_code(boss: User):
    _, _, batch = suspended_after_the_release()
    before = state()
    with pytest.raises(CommandError, match=r"PAYEE_NOT_ACTIVE: .*Gone"):
        call_command("payouts", "paid", str(batch.pk), "--reference", "BANK-1", "--by", boss.email)
    assert state() == before


@pytest.mark.engines("postgres")
def test_a_suspension_at_the_moment_of_marking_paid_counts(boss: User):
    """It comes after the affiliates were read: only a guarded write sees it."""
    affiliate = owed()
    batch = batch_in(PayoutBatch.RELEASED)
    with (
        rival_before(
            'UPDATE "affiliates_affiliate"',
            lambda: memberships.suspend(affiliate, by="staff@example.com", reason="Now"),
        ) as suspended,
        pytest.raises(PayeeNotActive, match="is suspended"),
    ):
        payouts.mark_paid(batch, by=boss, reference="BANK-1")
    assert suspended == [True]
    assert Payout.objects.get().status == PayoutBatch.objects.get().status == "released"


@pytest.mark.every_engine
def test_suspending_and_marking_paid_at_once_does_one_after_the_other(boss: User):
    for number in range(ROUNDS):
        affiliate = owed()
        batch = batch_in(PayoutBatch.RELEASED)

        def mark_paid(key: Any = batch.pk, number: int = number) -> Any:
            return payouts.mark_paid(
                PayoutBatch.objects.get(pk=key), by=boss, reference=f"BANK-{number}"
            )

        def suspend(affiliate: Affiliate = affiliate) -> bool:
            return memberships.suspend(affiliate, by="staff@example.com", reason="Now")

        outcomes = race(lambda thread, steps=(mark_paid, suspend): steps[thread](), threads=2)
        assert set(kinds(outcomes)) <= {"ok", "PayeeNotActive"}, outcomes
        batch.refresh_from_db()
        assert outcomes[1] is True
        assert (
            batch.status
            == batch.payouts.get().status
            == ("released" if isinstance(outcomes[0], PayeeNotActive) else "paid")
        )
