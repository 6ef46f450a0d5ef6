"""Staff who are affiliates, too: a colleague decides about their money, whatever the way that they
try.
"""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import User
from affiliates import commissions, ledger, memberships, payouts
from affiliates.errors import OwnAccount
from affiliates.ledger import Adjustment
from affiliates.memberships import Joining
from affiliates.models import Affiliate, Commission, LedgerEntry, PayoutBatch
from affiliates.payout_details import PayoutDetails
from tests.affiliates.make import IBAN, make_affiliate, make_staff
from tests.affiliates.payday import PAYPAL, draft, earn, owed, state
from tests.affiliates.test_ledger import balance_of

pytestmark = pytest.mark.any_engine

WORDS = "Your own affiliate account is concerned. Please ask a colleague to do this."
BOSS = "boss@example.com"
OFFICE = "/admin/affiliates"


def same_user(boss: User) -> Affiliate:
    return memberships.join(
        boss, Joining("The boss's club", "DE", PayoutDetails(Affiliate.BANK, "Boss", IBAN))
    )


def same_user_with_another_address(boss: User) -> Affiliate:
    affiliate = same_user(boss)
    Affiliate.objects.filter(pk=affiliate.pk).update(
        email="old@example.com", alias_key="old@example.com"
    )
    return Affiliate.objects.get(pk=affiliate.pk)


def same_address(boss: User) -> Affiliate:
    """A second account, under a variant of the address."""
    return make_affiliate("boss+club@example.com")


OWN = [same_user, same_user_with_another_address, same_address]


@pytest.fixture
def boss(db: None) -> User:
    return make_staff(email=BOSS)


@pytest.fixture
def office(boss: User) -> Client:
    client = Client()
    client.force_login(boss)
    return client


def facts() -> Any:
    affiliates = list(Affiliate.objects.order_by("pk").values_list("pk", "rate_basis_points"))
    return (
        state(),
        affiliates,
        list(Commission.objects.order_by("pk").values()),
        LogEntry.objects.count(),
    )


def earning(affiliate: Affiliate, *prices: int) -> Affiliate:
    earn(affiliate, *(prices or (100_000,)))
    return affiliate


# --- releasing ------------------------------------------------------------------------------------
@pytest.mark.every_engine
@pytest.mark.parametrize("own", OWN, ids=lambda own: own.__name__)
def test_nobody_releases_a_batch_that_pays_themselves(boss: User, office: Client, own: Any) -> None:
    affiliate, _ = earning(own(boss)), owed(60_000)
    batch = draft(make_staff())
    before = facts()
    with pytest.raises(OwnAccount):
        payouts.release(batch, by=boss)
    with pytest.raises(CommandError, match=f"OWN_ACCOUNT: {WORDS}"):
        call_command("payouts", "release", str(batch.pk), "--by", BOSS)
    page = office.get(f"{OFFICE}/payoutbatch/{batch.pk}/release/").content.decode()
    assert (WORDS in page, 'name="decide"' in page) == (True, False)
    assert (
        WORDS
        in office.post(
            f"{OFFICE}/payoutbatch/{batch.pk}/release/", {"seen": "2:16000"}
        ).content.decode()
    )
    assert facts() == before
    assert len(payouts.release(PayoutBatch.objects.get(), by=make_staff()).payouts) == 2
    assert balance_of(affiliate) == (0, 0, 10_000, 0)


def test_a_batch_that_pays_others_only_is_released(boss: User) -> None:
    earning(same_user(boss), 49_000)  # less than the minimum
    owed(60_000)
    assert len(payouts.release(draft(make_staff()), by=boss).payouts) == 1


def test_nobody_releases_what_is_paid_to_their_own_paypal_address(boss: User) -> None:
    owed(details=PayoutDetails(Affiliate.PAYPAL, "", BOSS))
    owed(details=PAYPAL)
    batch = draft(make_staff(), method="paypal")
    with pytest.raises(OwnAccount):
        payouts.release(batch, by=boss)


# --- adjusting, holding, changing the rate --------------------------------------------------------
@pytest.mark.parametrize("own", OWN, ids=lambda own: own.__name__)
def test_nobody_adjusts_their_own_balance(boss: User, office: Client, own: Any) -> None:
    affiliate = earning(own(boss))
    before = facts()
    with pytest.raises(OwnAccount):
        ledger.adjust(
            affiliate, Adjustment(key="1", amount=100_000, currency="usd", by=BOSS, note="For me")
        )
    typed = {
        "decide": "1",
        "key": "00000000-0000-0000-0000-000000000001",
        "amount": "1000.00",
        "currency": "usd",
        "note": "For me",
    }
    assert (
        WORDS in office.post(f"{OFFICE}/affiliate/{affiliate.pk}/adjust/", typed).content.decode()
    )
    assert facts() == before
    assert ledger.adjust(
        affiliate,
        Adjustment(key="1", amount=100, currency="usd", by="other@example.com", note="A colleague"),
    )


@pytest.mark.parametrize("hold", [True, False], ids=["hold", "release"])
@pytest.mark.parametrize("own", OWN, ids=lambda own: own.__name__)
def test_nobody_holds_or_releases_a_commission_of_their_own(
    boss: User, office: Client, own: Any, hold: bool
) -> None:
    earning(own(boss))
    commission = Commission.objects.get()
    if not hold:
        commissions.review(
            commission.enrollment_id, hold=True, by="other@example.com", note="Looks odd"
        )
    before = facts()
    with pytest.raises(OwnAccount):
        commissions.review(commission.enrollment_id, hold=hold, by=BOSS, note="For me")
    decision = "hold" if hold else "release"
    typed = {"decide": "1", "reason": "For me"}
    page = office.post(f"{OFFICE}/commission/{commission.pk}/{decision}/", typed)
    assert WORDS in page.content.decode()
    chosen = {**typed, "action": decision, "_selected_action": [str(commission.pk)]}
    done = "held for" if hold else "released from"
    assert (
        f"0 {done} review, 1 skipped"
        in office.post(f"{OFFICE}/commission/", chosen, follow=True).content.decode()
    )
    assert facts() == before


@pytest.mark.every_engine
@pytest.mark.parametrize("own", OWN, ids=lambda own: own.__name__)
def test_nobody_changes_their_own_rate(boss: User, office: Client, own: Any) -> None:
    affiliate = own(boss)
    before = facts()
    with pytest.raises(OwnAccount):
        memberships.change_rate(affiliate, 5000, by=f" {BOSS.upper()} ")
    answer = office.post(f"{OFFICE}/affiliate/{affiliate.pk}/rate/", {"decide": "1", "rate": "50"})
    assert WORDS in answer.content.decode()
    assert facts() == before
    assert memberships.change_rate(affiliate, 5000, by="other@example.com")


@pytest.mark.every_engine
def test_other_accounts_are_theirs_to_decide(boss: User, office: Client) -> None:
    same_user(boss)
    other = owed(100_000)
    commission = Commission.objects.get()
    assert ledger.adjust(
        other, Adjustment(key="1", amount=-100, currency="usd", by=BOSS, note="Bank fee")
    )
    assert commissions.review(commission.enrollment_id, hold=True, by=BOSS, note="Looks odd")
    assert commissions.review(commission.enrollment_id, hold=False, by=BOSS, note="It is fine")
    assert memberships.change_rate(other, 1500, by=BOSS)
    assert LedgerEntry.objects.filter(affiliate=other).count() == 2
