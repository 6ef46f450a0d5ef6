"""A key is changed without losing an account, a cookie or a self-referral (fault O7)."""

from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from affiliates import attribution, memberships
from affiliates.models import Affiliate, Payout, PayoutBatch
from affiliates.payout_details import PayoutDetails, account_in
from maaledu.vault import CannotOpen, fingerprint
from notifications.models import Email
from tests.affiliates.make import make_affiliate
from tests.affiliates.payday import batch_in, owed

pytestmark = pytest.mark.any_engine

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
OLD_SECRET, NEW_SECRET = "the-secret-of-before" * 3, "the-secret-of-today" * 3
PAYPAL = PayoutDetails(Affiliate.PAYPAL, "Ada", "ada.pays@example.com")


def reseal() -> str:
    out = StringIO()
    call_command("reseal", stdout=out)
    return out.getvalue()


@pytest.fixture
def keys(settings: Settings, db: None) -> Settings:
    """The keys of before, with which everything was sealed so far."""
    settings.DETAILS_KEYS, settings.SECRET_KEY = [OLD], OLD_SECRET
    settings.SECRET_KEY_FALLBACKS = []
    return settings


def roll(keys: Settings) -> None:
    keys.DETAILS_KEYS, keys.SECRET_KEY = [NEW, OLD], NEW_SECRET
    keys.SECRET_KEY_FALLBACKS = [OLD_SECRET]


@pytest.mark.every_engine
def test_after_resealing_the_old_key_opens_nothing_and_is_not_needed(keys: Settings) -> None:
    affiliate = owed(60_000, name="Ada")
    batch_in(PayoutBatch.RELEASED)
    account = account_in(Affiliate.objects.get().payout_sealed)
    roll(keys)
    assert reseal() == "2 encrypted anew. Old keys may go from DETAILS_KEYS.\n"
    keys.DETAILS_KEYS, keys.SECRET_KEY_FALLBACKS = [NEW], []
    affiliate.refresh_from_db()
    assert account_in(affiliate.payout_sealed) == account
    assert affiliate.payout_key == fingerprint("payout", f"{affiliate.payout_method}:{account}")
    assert account_in(Payout.objects.get().details_sealed) == account
    assert reseal() == "0 encrypted anew. Old keys may go from DETAILS_KEYS.\n"
    keys.DETAILS_KEYS = [OLD]
    with pytest.raises(CannotOpen):
        account_in(affiliate.payout_sealed)


def test_an_account_that_no_key_opens_is_named_and_stops_no_other(keys: Settings) -> None:
    lost = make_affiliate()
    memberships.change_details(lost, PAYPAL)
    keys.DETAILS_KEYS = [NEW]
    owed(60_000, name="Ada")
    keys.DETAILS_KEYS, keys.SECRET_KEY = [Fernet.generate_key().decode(), NEW], NEW_SECRET
    with pytest.raises(CommandError, match=r"1 encrypted anew\. 1 cannot be read") as failure:
        reseal()
    assert "put the key back" in str(failure.value)


@pytest.mark.every_engine
def test_a_self_referral_is_recognized_whichever_key_hashed_the_account(keys: Settings) -> None:
    affiliate = make_affiliate()
    memberships.change_details(affiliate, PAYPAL)
    roll(keys)
    assert attribution._is_payee(affiliate, "ada.pays+shop@example.com")
    reseal()
    affiliate.refresh_from_db()
    keys.SECRET_KEY_FALLBACKS = []
    assert attribution._is_payee(affiliate, "ada.pays@example.com")


def test_the_same_account_entered_again_is_no_change_after_a_new_key(keys: Settings) -> None:
    affiliate = make_affiliate()
    assert memberships.change_details(affiliate, PAYPAL)
    mails = Email.objects.count()
    roll(keys)
    assert not memberships.change_details(affiliate, PAYPAL)
    assert Email.objects.count() == mails
    other = PayoutDetails(Affiliate.PAYPAL, "Ada", "ada.other@example.com")
    assert memberships.change_details(affiliate, other)


def test_clicks_of_before_count_after_new_keys(keys: Settings) -> None:
    plain = attribution.seal("ADA23456")
    hidden, partner = attribution.hide(plain), attribution.seal_partner("ADA23456")
    roll(keys)
    assert attribution.read(plain) == attribution.read(hidden) == "ada23456"
    assert attribution.read_partner(partner) == "ADA23456"
    keys.SECRET_KEY_FALLBACKS = []
    assert attribution.read(plain) == attribution.read(hidden) == ""
