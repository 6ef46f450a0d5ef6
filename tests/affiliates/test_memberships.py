"""Joining, what staff decide about it, and payout details: each with its message, and no account
number in clear anywhere.
"""

import itertools
import json
import logging
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from cryptography.fernet import Fernet
from django.apps import apps

from affiliates import memberships, payout_details
from affiliates.errors import AddressNotVerified, AlreadyAffiliate
from affiliates.memberships import Joining
from affiliates.models import Affiliate, FraudSignal
from affiliates.pages.forms import WRONG_IBAN, JoinForm, countries
from affiliates.payout_details import PayoutDetails, account_in
from maaledu.vault import CannotOpen, seal, unseal
from notifications.models import Email
from tests.affiliates.make import IBAN, make_user
from tests.concurrency import kinds, race

pytestmark = pytest.mark.any_engine

BANK = PayoutDetails(Affiliate.BANK, "Ada Partner", IBAN)
OTHER_IBAN = "GB82WEST12345698765432"
LATER = PayoutDetails(Affiliate.LATER)


def asked(details: PayoutDetails = BANK, name: str = "Ada's club") -> Joining:
    return Joining(name, "DE", details)


def form(**changes: Any) -> JoinForm:
    filled = {"name": "Ada's club", "tax_country": "DE", "method": "later", "accept_terms": "on"}
    return JoinForm({**filled, **changes})


def everything_stored() -> str:
    """Return every column of every row there is, as the database has it."""
    return "".join(str(row) for model in apps.get_models() for row in model._base_manager.values())


# --- joining and what is decided about it ---------------------------------------------------------
def test_joining_makes_an_active_affiliate_and_one_welcome():
    affiliate = memberships.join(make_user("ada@example.com"), asked(), network_key="n" * 64)
    stored = Affiliate.objects.get()
    assert (stored.pk, stored.status, stored.email, stored.rate_basis_points) == (
        affiliate.pk,
        "active",
        "ada@example.com",
        1000,
    )
    assert (stored.name, stored.tax_country, stored.network_key) == ("Ada's club", "DE", "n" * 64)
    assert stored.activated_at is not None
    mail = Email.objects.get()
    assert (mail.kind, mail.to, mail.context["link"]) == (
        "affiliate_welcome",
        "ada@example.com",
        affiliate.link,
    )
    assert (mail.context["code"], mail.context["rate"]) == (affiliate.code, "10 %")


def test_the_rate_of_a_new_affiliate_is_a_setting(settings):
    settings.AFFILIATE_RATE_BASIS_POINTS = 1250
    memberships.join(make_user(), asked())
    assert Affiliate.objects.get().rate_basis_points == 1250
    assert Email.objects.get().context["rate"] == "12.5 %"


def test_where_staff_approve_joining_is_an_application(settings):
    settings.AFFILIATE_AUTO_APPROVE = False
    affiliate = memberships.join(make_user(), asked())
    assert (affiliate.status, affiliate.activated_at) == ("applied", None)
    assert list(Email.objects.values_list("kind", flat=True)) == ["affiliate_applied"]


def test_approving_an_application_welcomes_once(settings):
    settings.AFFILIATE_AUTO_APPROVE = False
    affiliate = memberships.join(make_user(), asked())
    stale = Affiliate.objects.get()
    assert memberships.approve(affiliate, by="staff@example.com") is True
    assert memberships.approve(affiliate, by="staff@example.com") is False
    assert memberships.approve(stale, by="colleague@example.com") is False
    assert Affiliate.objects.get().status == "active"
    assert sorted(Email.objects.values_list("kind", flat=True)) == [
        "affiliate_applied",
        "affiliate_welcome",
    ]


def test_reinstating_welcomes_nobody_again():
    affiliate = memberships.join(make_user(), asked())
    Email.objects.all().delete()
    assert memberships.suspend(affiliate, by="staff@example.com", reason="Spam") is True
    assert Affiliate.objects.get().status_reason == "Spam"
    assert memberships.suspend(affiliate, by="staff@example.com", reason="Again") is False
    assert memberships.approve(affiliate, by="staff@example.com") is True
    assert (Affiliate.objects.get().status, Affiliate.objects.get().status_reason) == ("active", "")
    assert memberships.close(affiliate, by="staff@example.com", reason="Asked for it") is True
    assert Affiliate.objects.get().status == "closed"
    assert not Email.objects.exists()


def test_an_application_that_was_declined_and_then_approved_is_welcomed(settings):
    settings.AFFILIATE_AUTO_APPROVE = False
    affiliate = memberships.join(make_user(), asked())
    assert memberships.close(affiliate, by="staff@example.com", reason="No site")
    assert memberships.approve(Affiliate.objects.get(), by="staff@example.com")
    assert Email.objects.filter(kind="affiliate_welcome").count() == 1


def test_an_address_that_is_not_verified_is_refused():
    user = make_user()
    EmailAddress.objects.filter(user=user).update(verified=False)
    with pytest.raises(AddressNotVerified):
        memberships.join(user, asked())
    assert not Affiliate.objects.exists()
    assert not Email.objects.exists()


@pytest.mark.every_engine
def test_a_second_time_is_refused_and_changes_nothing():
    user = make_user()
    memberships.join(user, asked())
    before = (list(Affiliate.objects.values()), list(Email.objects.values()))
    with pytest.raises(AlreadyAffiliate):
        memberships.join(user, asked(LATER, "Other"))
    assert (list(Affiliate.objects.values()), list(Email.objects.values())) == before


@pytest.mark.every_engine
def test_many_tries_at_once_make_one_affiliate_and_one_message():
    user = make_user()
    results = race(lambda _: memberships.join(user, asked()), threads=6)
    assert kinds(results) == {"ok": 1, "AlreadyAffiliate": 5}
    assert (Affiliate.objects.count(), Email.objects.count()) == (1, 1)


def test_without_its_message_nobody_has_joined(settings):
    """One transaction: what breaks the message takes the affiliate back."""
    url, settings.SITE_URL = settings.SITE_URL, None
    user = make_user()
    with pytest.raises(TypeError):
        memberships.join(user, asked())
    assert not Affiliate.objects.exists()
    settings.SITE_URL = url
    memberships.join(user, asked())
    assert (Affiliate.objects.count(), Email.objects.count()) == (1, 1)


# --- payout details -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("details", "hint"),
    [
        (BANK, "DE•• •••• 3000"),
        (PayoutDetails(Affiliate.PAYPAL, "", "grace.hopper@example.com"), "g•••@example.com"),
        (LATER, ""),
    ],
)
def test_an_account_is_sealed_and_only_its_hint_is_readable(details, hint):
    affiliate = memberships.join(make_user(), asked(details))
    assert affiliate.payout_hint == hint
    stored = Affiliate.objects.get()
    assert (account_in(stored.payout_sealed) if stored.payout_sealed else "") == details.account
    if details.account:
        everything = everything_stored()
        assert hint in everything
        assert details.account not in everything


def test_two_seals_of_one_account_differ_and_their_keys_are_equal():
    first, second = memberships.join(make_user(), asked()), memberships.join(make_user(), asked())
    assert first.payout_sealed != second.payout_sealed
    assert first.payout_key == second.payout_key != ""
    assert account_in(first.payout_sealed) == account_in(second.payout_sealed) == IBAN


def test_a_key_is_rolled_by_a_new_one_in_front(settings):
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.DETAILS_KEYS = [old]
    before = seal({"account": IBAN})
    settings.DETAILS_KEYS = [new, old]
    after = seal({"account": IBAN})
    assert unseal(before) == unseal(after) == {"account": IBAN}
    settings.DETAILS_KEYS = [new]
    assert unseal(after) == {"account": IBAN}
    with pytest.raises(CannotOpen):
        unseal(before)


def test_what_somebody_wrote_into_the_sealed_column_is_not_believed():
    affiliate = memberships.join(make_user(), asked())
    forged = affiliate.payout_sealed[:-8] + "AAAAAAA="
    with pytest.raises(CannotOpen):
        payout_details.account_in(forged)


@pytest.mark.every_engine
def test_one_account_of_two_affiliates_is_noted_for_review_and_refuses_nobody():
    first = memberships.join(make_user(), asked())
    assert not FraudSignal.objects.exists()
    second = memberships.join(make_user(), asked())
    signal = FraudSignal.objects.get()
    assert (signal.affiliate_id, signal.kind, signal.detail) == (
        second.pk,
        FraudSignal.SHARED_ACCOUNT,
        f"Also: {first.code}",
    )
    assert Affiliate.objects.filter(status="active").count() == 2


@pytest.mark.every_engine
def test_other_details_send_their_owner_a_message_each_time_and_the_same_ones_none():
    user = make_user("ada@example.com")
    affiliate = memberships.join(user, asked())
    Email.objects.all().delete()
    assert memberships.change_details(affiliate, BANK) is False
    assert (
        memberships.change_details(
            affiliate, PayoutDetails(Affiliate.BANK, "Ada Partner", OTHER_IBAN)
        )
        is True
    )
    assert memberships.change_details(Affiliate.objects.get(), BANK) is True
    assert memberships.change_details(Affiliate.objects.get(), LATER) is True
    mails = list(Email.objects.order_by("pk"))
    assert [(mail.kind, mail.to, mail.context["hint"]) for mail in mails] == [
        ("affiliate_details_changed", "ada@example.com", hint)
        for hint in ("GB•• •••• 5432", "DE•• •••• 3000", "")
    ]
    stored = Affiliate.objects.get()
    assert (stored.payout_method, stored.payout_sealed, stored.payout_key, stored.payee_name) == (
        "later",
        "",
        "",
        "",
    )


def test_messages_go_to_the_address_the_account_has_now():
    affiliate = memberships.join(make_user("ada@example.com"), asked())
    affiliate.user.email = "ada@new.example.com"
    affiliate.user.save()
    memberships.change_details(Affiliate.objects.get(), LATER)
    assert Email.objects.get(kind="affiliate_details_changed").to == "ada@new.example.com"


def test_nothing_of_an_account_is_logged(caplog):
    caplog.set_level(logging.DEBUG)
    affiliate = memberships.join(make_user(), asked())
    memberships.change_details(affiliate, PayoutDetails(Affiliate.BANK, "Ada Partner", OTHER_IBAN))
    memberships.suspend(affiliate, by="staff@example.com", reason="Spam")
    records = [
        record for record in caplog.records if not record.name.startswith(("django.db", "pymongo"))
    ]
    assert [record.getMessage() for record in records] == [
        "affiliate joined",
        "affiliate suspended",
    ]
    written = "".join(str(vars(record)) for record in records)
    for secret in (IBAN, OTHER_IBAN, "Ada Partner"):
        assert secret not in written


def test_where_somebody_was_last_seen_is_a_hash_that_follows_them():
    affiliate = memberships.join(make_user(), asked(), network_key="a" * 64)
    memberships.remember_network(affiliate, "b" * 64)
    assert Affiliate.objects.get().network_key == "b" * 64


# --- the form -------------------------------------------------------------------------------------
def test_every_country_has_the_name_that_people_use_and_stands_where_they_look():
    names = [name for _, name in countries()]
    assert len(countries()) > 240
    assert (
        names.index("Åland Islands")
        < names.index("Albania")
        < names.index("Türkiye")
        < names.index("Zambia")
    )
    assert {"Bolivia", "South Korea", "Taiwan", "Moldova"} <= set(names)


@pytest.mark.parametrize(
    "typed",
    [
        "de89 3704 0044 0532 0130 00",
        "DE89-3704-0044-0532-0130-00",
        "DE89\u00a037040044 0532013000\t",
        f" {IBAN} ",
    ],
)
def test_an_iban_is_read_however_it_is_spaced(typed):
    filled = form(method="bank", payee_name="Ada  Partner ", iban=typed)
    assert filled.is_valid(), filled.errors
    assert filled.joining() == Joining("Ada's club", "DE", BANK)


@pytest.mark.parametrize(
    "typed",
    [
        "DE89370400440532013001",  # a digit
        "DE98370400440532013000",  # two check digits the wrong way round
        "DE8937040044053201300",  # too short
        "DE893704004405320130000",  # too long
        "XX89370400440532013000",  # no such country
        "ZZ",
        "ada@example.com",
        "=cmd|' /C calc'!A0",
        "<svg onload=alert(1)>",
    ],
)
def test_an_iban_with_wrong_check_digits_is_refused_in_plain_words(typed):
    filled = form(method="bank", payee_name="Ada Partner", iban=typed)
    assert filled.errors == {"iban": [WRONG_IBAN]}


def test_a_paypal_address_is_kept_in_its_normal_form():
    filled = form(method="paypal", paypal_email=" Ada@Bücher.Example ")
    assert filled.is_valid()
    assert filled.joining().details == PayoutDetails(
        Affiliate.PAYPAL, "", "ada@xn--bcher-kva.example"
    )


WRONG = [
    ({"name": ""}, "name", "Enter the name that buyers see."),
    ({"name": "  "}, "name", "Enter the name that buyers see."),
    ({"name": "a" * 81}, "name", "at most 80 characters"),
    ({"name": "Ada\x07"}, "name", "without control characters"),
    ({"name": "Ada\x00"}, "name", "Null characters"),
    ({"tax_country": ""}, "tax_country", "Choose the country"),
    ({"tax_country": "XX"}, "tax_country", "Choose a country from the list."),
    ({"tax_country": "de"}, "tax_country", "Choose a country from the list."),
    ({"method": ""}, "method", "Choose how you want to be paid."),
    ({"method": "cash"}, "method", "Choose how you want to be paid."),
    ({"method": "paypal"}, "paypal_email", "Enter the e-mail address of your PayPal account."),
    (
        {"method": "paypal", "paypal_email": "nobody"},
        "paypal_email",
        "Enter a valid e-mail address.",
    ),
    (
        {"method": "paypal", "paypal_email": "a@b.example\r\nBcc: c@d.example"},
        "paypal_email",
        "Enter a valid e-mail address.",
    ),
    (
        {"method": "paypal", "paypal_email": "a" * 141 + "@example.com"},
        "paypal_email",
        "at most 140 characters",
    ),
    ({"method": "bank", "iban": IBAN}, "payee_name", "Enter the name of the account's holder."),
    (
        {"method": "bank", "iban": IBAN, "payee_name": "Ada\x1bPartner"},
        "payee_name",
        "without control characters",
    ),
    (
        {"method": "bank", "iban": IBAN, "payee_name": "a" * 71},
        "payee_name",
        "at most 70 characters",
    ),
    ({"method": "bank", "payee_name": "Ada"}, "iban", "Enter the IBAN of the account."),
    (
        {"method": "bank", "payee_name": "Ada", "iban": "D" * 10_000},
        "iban",
        "at most 60 characters",
    ),
    ({"accept_terms": ""}, "accept_terms", "Please accept the terms"),
]


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    WRONG,
    ids=[f"{field}-{number}" for number, (_, field, _) in enumerate(WRONG)],
)
def test_what_is_missing_or_wrong_is_said_at_its_field(changes, field, says):
    filled = form(**changes)
    assert list(filled.errors) == [field]
    assert says in filled.errors[field][0]


def test_marks_that_cannot_be_seen_are_left_out_of_names():
    """Fault E4: they come along when a name is copied, and nobody can take them out by hand."""
    filled = form(name="Ada\u202egnp.exe", method="bank", iban=IBAN, payee_name="Ada\u200bPartner")
    assert filled.is_valid()
    assert filled.cleaned_data["name"] == "Adagnp.exe"
    assert filled.cleaned_data["payee_name"] == "AdaPartner"


@pytest.mark.parametrize("method", ["paypal", "bank", "later"])
def test_what_the_chosen_method_does_not_need_may_be_anything(method):
    good = {"paypal_email": "ada@example.com", "payee_name": "Ada Partner", "iban": IBAN}
    needed = {"paypal": ["paypal_email"], "bank": ["payee_name", "iban"], "later": []}[method]
    rubbish = {name: good[name] if name in needed else "\x00" * 500 for name in good}
    filled = form(method=method, **rubbish)
    assert filled.is_valid(), filled.errors
    account = {"paypal": "ada@example.com", "bank": IBAN, "later": ""}[method]
    payee = "Ada Partner" if method == "bank" else ""
    assert filled.joining().details == PayoutDetails(method, payee, account)


def test_a_program_has_to_send_text_and_a_real_yes():
    body = {"name": "Ada", "taxCountry": "DE", "payoutMethod": "later", "acceptTerms": True}
    assert JoinForm.of_json(body).is_valid()
    bad = [["Ada"], {"a": 1}, 7, True, None]
    for name, value in itertools.product(("name", "taxCountry", "payoutMethod"), bad):
        assert not JoinForm.of_json({**body, name: value}).is_valid(), (name, value)
    for value in ("true", "on", 1, [True], None):
        assert list(JoinForm.of_json({**body, "acceptTerms": value}).errors) == ["accept_terms"]


def test_a_refusal_names_the_fields_as_programs_know_them():
    error = JoinForm.of_json({"payoutMethod": "bank", "iban": "DE00"}).refusal()
    assert error.http_status == 400
    assert set(error.public_details["fields"]) == {
        "name",
        "taxCountry",
        "payeeName",
        "iban",
        "acceptTerms",
    }
    assert "DE00" not in json.dumps([error.details, error.public_details])
