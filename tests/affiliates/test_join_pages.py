"""The program's page, joining, payout details, the endpoints for programs, and what a buyer sees
of a referral.
"""

import json
import logging
import re
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.apps import apps
from django.contrib.sessions.models import Session
from django.test import Client

from accounts.models import User
from affiliates import attribution, memberships
from affiliates.models import Affiliate, Commission, FraudSignal
from affiliates.pages.forms import WRONG_IBAN
from affiliates.payout_details import PayoutDetails, account_in
from enrollments.models import Enrollment
from maaledu import settings as product
from notifications.models import Email
from tests.affiliates.make import IBAN, make_affiliate, make_referred, make_user, sell
from tests.affiliates.shop import BROWSER, visitor
from tests.factories import make_course, make_pending
from tests.grants.make import make_coupon
from tests.statements import statements

pytestmark = pytest.mark.any_engine

JOIN, DETAILS, REGISTER = (
    "/affiliates/join/",
    "/affiliates/payout-details/",
    "/api/affiliate/register",
)
PASSWORD = "a-sentence-nobody-guesses-7"
PAYLOAD = "<svg onload=alert(1)>"
CHROME = {"HTTP_USER_AGENT": "Mozilla/5.0 Chrome/130"}
OTHER_IBAN = "GB82WEST12345698765432"


@pytest.fixture(autouse=True)
def _many_tries(settings) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "affiliate_signup": "1000/1m", "api": "1000/1m"}


@pytest.fixture
def ada() -> User:
    return make_user("ada@example.com", name="Ada")


def signed_in(user: User, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(user)
    return client


def confirmed(user: User) -> Client:
    """Return a browser whose person has just given the password."""
    client = signed_in(user)
    answer = client.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": DETAILS})
    assert (answer.status_code, answer["Location"]) == (302, DETAILS)
    return client


def filled(**changes: Any) -> dict[str, Any]:
    bank = {"method": "bank", "payee_name": "Ada Partner", "iban": "DE89 3704 0044 0532 0130 00"}
    return {"name": "Ada's club", "tax_country": "DE", "accept_terms": "on", **bank, **changes}


def body(**changes: Any) -> dict[str, Any]:
    bank = {
        "payoutMethod": "bank",
        "payeeName": "Ada Partner",
        "iban": "DE89 3704 0044 0532 0130 00",
    }
    return {"name": "Ada's club", "taxCountry": "DE", "acceptTerms": True, **bank, **changes}


def register(client: Client, **changes: Any):
    return client.post(REGISTER, data=json.dumps(body(**changes)), content_type="application/json")


def assert_nobody_joined() -> None:
    assert not Affiliate.objects.exists()
    assert not Email.objects.exists()


def text_of(answer) -> str:
    return answer.content.decode()


# --- the program's page ---------------------------------------------------------------------------
def test_the_page_of_the_program_says_what_it_is_with_a_worked_example(client, db):
    page = text_of(client.get("/affiliates/"))
    for said in (
        "10 %",
        "30 days",
        "$50.00",
        "$499.00",
        "$249.50",
        "$49.90",
        "last</",
        'href="/affiliates/join/"',
    ):
        assert said.replace("last</", "from the last click") in page, said


def test_every_figure_on_it_is_a_setting(client, db, settings):
    settings.AFFILIATE_RATE_BASIS_POINTS = 1250
    settings.PAYOUT_MINIMUM = 7500
    settings.COMMISSION_HOLD = settings.COMMISSION_HOLD.__class__(days=45)
    settings.ATTRIBUTION_LIFETIME = settings.ATTRIBUTION_LIFETIME.__class__(days=1)
    settings.ATTRIBUTION_MODEL, settings.COMMISSION_CAP, settings.AFFILIATE_AUTO_APPROVE = (
        "first_click",
        "amount_paid",
        False,
    )
    page = text_of(client.get("/affiliates/"))
    for said in (
        "12.5 %",
        "$75.00",
        "45 days",
        "1 day<",
        "$62.38",
        "from the first click",
        "never more than what the buyer pays",
    ):
        assert said in page, said
    for old in ("10 %", "$50.00", "30 day", "$49.90", "last click", "Your link is there at once"):
        assert old not in page, old


@pytest.mark.every_engine
def test_it_is_the_same_for_everybody_kept_and_asks_the_database_nothing(client, ada):
    affiliate = make_affiliate()
    with statements() as first:
        page = client.get("/affiliates/")
    partner = signed_in(affiliate.user)
    partner.cookies["ref"] = attribution.seal(affiliate.code)
    with statements() as kept:
        pages = [one.get("/affiliates/") for one in (Client(), signed_in(ada), partner, client)]
    assert (len(first), page["Cache-Control"]) == (0, "public, max-age=60")
    assert {answer.content for answer in pages} == {page.content}
    assert [
        sql for sql in kept if "session" not in sql.lower() and "accounts_user" not in sql.lower()
    ] == []
    assert all(not answer.cookies and answer["Vary"] == "Accept-Encoding" for answer in pages)


def test_a_kept_page_of_the_program_costs_no_statement_at_all(ada):
    client = signed_in(ada)
    client.get("/affiliates/")
    with statements() as kept:
        assert client.get("/affiliates/").status_code == 200
    assert kept == []


def test_a_referral_on_the_page_of_the_program_is_remembered_and_the_page_stays_the_same(client):
    affiliate = make_affiliate()
    plain = client.get("/affiliates/")
    followed = Client().get(f"/affiliates/?ref={affiliate.code}", **CHROME)
    assert followed.content == plain.content
    assert attribution.read(followed.cookies["ref"].value) == affiliate.code


def test_the_foot_of_every_page_and_the_account_lead_to_the_program(client, ada):
    assert 'href="/affiliates/">Affiliates</a>' in text_of(client.get("/help/"))
    assert 'href="/affiliates/dashboard/">Affiliate program</a>' in text_of(
        signed_in(ada).get("/account/")
    )


# --- joining: who may -----------------------------------------------------------------------------
@pytest.mark.parametrize("path", [JOIN, DETAILS])
@pytest.mark.parametrize("method", ["get", "post"])
def test_somebody_who_is_not_signed_in_is_asked_to_and_comes_back(client, db, path, method):
    answer = getattr(client, method)(path)
    assert (answer.status_code, answer["Location"]) == (302, f"/accounts/login/?next={path}")
    assert_nobody_joined()


@pytest.mark.parametrize("other", [False, True])
def test_an_unconfirmed_address_leads_to_where_the_code_is_sent_again(ada, other):
    """It is the main address that has to be confirmed; another one that is does not help."""
    EmailAddress.objects.filter(user=ada).update(verified=False)
    if other:
        EmailAddress.objects.create(user=ada, email="other@example.com", verified=True)
    client = signed_in(ada)
    for answer in (client.get(JOIN), client.post(JOIN, filled()), client.get(JOIN)):
        assert (answer.status_code, answer["Location"]) == (302, "/accounts/email/")
    page = text_of(client.get("/accounts/email/"))
    assert "Please confirm your e-mail address first" in page
    assert 'name="action_send"' in page
    assert_nobody_joined()


# --- joining: what becomes of it ------------------------------------------------------------------
def test_joining_with_a_bank_account(ada):
    answer = signed_in(ada).post(JOIN, filled(), REMOTE_ADDR="203.0.113.7")
    assert (answer.status_code, answer["Location"]) == (302, "/affiliates/dashboard/")
    affiliate = Affiliate.objects.get()
    assert (affiliate.user, affiliate.email, affiliate.name, affiliate.tax_country) == (
        ada,
        "ada@example.com",
        "Ada's club",
        "DE",
    )
    assert (affiliate.status, affiliate.rate_basis_points) == ("active", 1000)
    assert (affiliate.payout_method, affiliate.payee_name, affiliate.payout_hint) == (
        "bank",
        "Ada Partner",
        "DE•• •••• 3000",
    )
    assert account_in(affiliate.payout_sealed) == IBAN
    assert len(affiliate.network_key) == 64
    assert "203.0.113" not in affiliate.network_key
    assert [(mail.kind, mail.to) for mail in Email.objects.all()] == [
        ("affiliate_welcome", "ada@example.com")
    ]


def test_the_dashboard_welcomes_whoever_has_just_joined(ada):
    page = text_of(signed_in(ada).post(JOIN, filled(), follow=True))
    assert "Welcome to the affiliate program" in page
    assert IBAN not in page


def test_the_browser_it_is_done_in_is_marked_as_the_affiliates_own(ada):
    client = signed_in(ada)
    cookie = client.post(JOIN, filled()).cookies["partner"]
    code = Affiliate.objects.get().code
    assert attribution.read_partner(cookie.value) == code
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert "ada" not in cookie.value.replace(code, "")


def test_what_one_network_buys_through_its_own_affiliate_is_noted_for_review(client, ada, sandbox):
    """The address at joining and that of a sale are compared; the sale is credited all the same."""
    signed_in(ada).post(JOIN, filled(), REMOTE_ADDR="203.0.113.7")
    client.cookies["ref"] = attribution.seal(Affiliate.objects.get().code)
    course = make_course()
    buyer = {"email": "buyer@example.com", "accept_terms": "on"}
    assert (
        client.post(f"/checkout/{course.slug}/", buyer, REMOTE_ADDR="203.0.113.7").status_code
        == 302
    )
    assert Enrollment.objects.get().referral_outcome == "credited"
    assert [signal.kind for signal in FraudSignal.objects.all()] == ["same_address"]


def test_where_staff_approve_the_page_and_the_answer_say_so(ada, settings):
    settings.AFFILIATE_AUTO_APPROVE = False
    client = signed_in(ada)
    assert "Send my application" in text_of(client.get(JOIN))
    page = text_of(client.post(JOIN, filled(), follow=True))
    assert "we have your application" in page
    assert Affiliate.objects.get().status == "applied"
    assert list(Email.objects.values_list("kind", flat=True)) == ["affiliate_applied"]


@pytest.mark.parametrize("spelled", ["Grace@Example.COM ", "grace@example.com"])
def test_the_address_of_somebody_elses_paypal_account_is_only_where_money_goes(ada, spelled):
    grace = make_user("grace@example.com")
    signed_in(ada).post(JOIN, filled(method="paypal", paypal_email=spelled))
    affiliate = Affiliate.objects.get()
    assert (affiliate.user, affiliate.email) == (ada, "ada@example.com")
    assert account_in(affiliate.payout_sealed) == "grace@example.com"
    assert list(Email.objects.values_list("to", flat=True)) == ["ada@example.com"]
    assert not attribution.is_self(affiliate, email="grace@example.org", user=grace)
    assert attribution.is_self(affiliate, email=grace.email), (
        "whoever is paid is not credited (contracts, I8)"
    )


def test_somebody_may_decide_later_whatever_stands_in_the_other_fields(ada):
    signed_in(ada).post(JOIN, filled(method="later", iban="DE00", paypal_email="nobody"))
    affiliate = Affiliate.objects.get()
    assert (affiliate.payout_method, affiliate.payout_sealed, affiliate.payee_name) == (
        "later",
        "",
        "",
    )


FORGED = {
    "rate_basis_points": "9000",
    "rate": "9000",
    "commissionRate": "0.9",
    "status": "closed",
    "code": "chosen",
    "email": "boss@example.com",
    "user": "1",
    "payout_hint": PAYLOAD,
    "payout_sealed": "x",
    "network_key": "x",
    "activated_at": "2020-01-01",
    "id": "1",
}


@pytest.mark.parametrize("way", ["page", "program"])
def test_nothing_else_that_is_sent_counts(ada, way):
    make_user("boss@example.com")
    if way == "page":
        signed_in(ada).post(JOIN, filled(**FORGED))
    else:
        register(signed_in(ada), **FORGED)
    affiliate = Affiliate.objects.get()
    assert (affiliate.user, affiliate.email, affiliate.rate_basis_points, affiliate.status) == (
        ada,
        "ada@example.com",
        1000,
        "active",
    )
    assert (len(affiliate.code), affiliate.payout_hint, affiliate.activated_at.year > 2020) == (
        8,
        "DE•• •••• 3000",
        True,
    )
    assert list(Email.objects.values_list("to", flat=True)) == ["ada@example.com"]


def test_a_second_time_leads_to_the_dashboard_and_changes_nothing(ada):
    client = signed_in(ada)
    client.post(JOIN, filled())
    before = (list(Affiliate.objects.values()), Email.objects.count())
    for answer in (
        client.get(JOIN),
        client.post(JOIN, filled(name="Other")),
        client.post(JOIN, {}),
    ):
        assert (answer.status_code, answer["Location"]) == (302, "/affiliates/dashboard/")
    assert (list(Affiliate.objects.values()), Email.objects.count()) == before


@pytest.mark.every_engine
def test_an_address_that_another_affiliate_joined_with_is_refused_with_words(ada):
    """Grace moved on from this address; its next owner is not she."""
    grace = make_affiliate("grace@example.com")
    Affiliate.objects.filter(pk=grace.pk).update(email="ada@example.com")
    answer = signed_in(ada).post(JOIN, filled())
    assert answer.status_code == 409
    assert Affiliate.objects.count() == 1


# --- joining: refusals ----------------------------------------------------------------------------
WRONG = [
    ({"name": ""}, "id_name", "Enter the name that buyers see."),
    ({"name": "Ada\u0007gnp.exe"}, "id_name", "without control characters"),
    ({"tax_country": "XX"}, "id_tax_country", "Choose a country from the list."),
    ({"method": ""}, "id_method", "Choose how you want to be paid."),
    (
        {"method": "paypal", "paypal_email": "nobody"},
        "id_paypal_email",
        "Enter a valid e-mail address.",
    ),
    ({"iban": "DE89370400440532013001"}, "id_iban", WRONG_IBAN),
    ({"payee_name": ""}, "id_payee_name", "Enter the name of the account&#x27;s holder."),
    ({"accept_terms": ""}, "id_accept_terms", "Please accept the terms"),
]


@pytest.mark.parametrize(
    ("changes", "at", "says"),
    WRONG,
    ids=[f"{at}-{number}" for number, (_, at, _) in enumerate(WRONG)],
)
def test_what_is_wrong_is_said_at_the_top_and_at_its_field(ada, changes, at, says):
    answer = signed_in(ada).post(JOIN, filled(**changes))
    page = text_of(answer)
    assert answer.status_code == 400
    assert page.count(says) == 2
    assert f'href="#{at}"' in page
    assert page.count(f'id="{at}"') == 1
    assert re.search(r'role="alert" [^>]*autofocus', page)
    assert f'id="{at}_error"' in page
    assert "Please check" in page.split("</title>")[0]
    assert_nobody_joined()


def test_what_was_typed_comes_back_escaped(ada):
    page = text_of(
        signed_in(ada).post(
            JOIN,
            filled(
                name=PAYLOAD, payee_name=f'"><img src=x onerror=alert(1)>{PAYLOAD}', iban=PAYLOAD
            ),
        )
    )
    assert "&lt;svg onload=alert(1)&gt;" in page
    assert "<svg onload" not in page
    assert "<img src=x" not in page
    assert_nobody_joined()


def test_text_that_no_database_takes_is_refused(ada):
    for changes in (
        {"name": "Ada\x00"},
        {"payee_name": "Ada\x00"},
        {"iban": "\x00"},
        {"tax_country": "\x00"},
        {"method": "\x00"},
    ):
        assert signed_in(ada).post(JOIN, filled(**changes)).status_code == 400
    assert_nobody_joined()


def test_no_log_line_holds_what_was_typed(ada, caplog):
    caplog.set_level(logging.DEBUG)
    client = signed_in(ada)
    for refused in (
        client.post(JOIN, filled(accept_terms="")),
        register(client, acceptTerms=False),
        register(client, iban=f"{IBAN}0"),
    ):
        assert refused.status_code == 400
    assert client.post(JOIN, filled()).status_code == 302
    lines = [
        str(vars(record))
        for record in caplog.records
        if not record.name.startswith(("django.db", "pymongo"))
    ]
    assert any("INVALID_JOINING" in line for line in lines)
    assert not [
        line for line in lines if "0440532013" in line.replace(" ", "") or "Ada Partner" in line
    ]


@pytest.mark.parametrize("path", [JOIN, REGISTER])
def test_joining_is_limited_by_address_whatever_comes_of_it(ada, settings, path):
    """Requirement R086; decisions: 5 an hour."""
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "affiliate_signup": "5/1h"}
    client = signed_in(ada)
    for _ in range(5):
        assert (
            register(client, name="") if path == REGISTER else client.post(JOIN, filled(name=""))
        ).status_code == 400
    refused = client.post(JOIN, filled())
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 3600
    assert register(client).json()["code"] == "RATE_LIMITED"
    assert_nobody_joined()
    assert client.get(JOIN).status_code == 200
    assert client.post(JOIN, filled(), REMOTE_ADDR="203.0.113.9").status_code == 302


def test_the_limit_of_the_product_is_five_an_hour():
    assert product.RATE_LIMITS["affiliate_signup"] == "5/1h"


# --- payout details -------------------------------------------------------------------------------
def test_payout_details_ask_for_the_password_first(ada):
    make_affiliate_of(ada)
    answer = signed_in(ada).get(DETAILS)
    assert (answer.status_code, answer["Location"]) == (
        302,
        f"/accounts/reauthenticate/?next={DETAILS.replace('/', '%2F')}",
    )


def test_who_has_no_password_signs_in_by_a_code_again_before_the_money_goes_elsewhere(ada):
    affiliate = make_affiliate_of(ada)
    ada.set_unusable_password()
    ada.save()
    moved = {"method": "bank", "payee_name": "Eve", "iban": OTHER_IBAN}
    for send in (lambda client: client.get(DETAILS), lambda client: client.post(DETAILS, moved)):
        client = signed_in(ada)
        asked = send(client)["Location"]
        assert asked == f"/accounts/login/code/?next={DETAILS.replace('/', '%2F')}"
        assert "_auth_user_id" not in client.session
    kept = Affiliate.objects.get(pk=affiliate.pk)
    assert (kept.payout_sealed, kept.payee_name) == (affiliate.payout_sealed, "Ada Partner")


def make_affiliate_of(user: User, details: PayoutDetails | None = None) -> Affiliate:
    bank = details or PayoutDetails(Affiliate.BANK, "Ada Partner", IBAN)
    affiliate = memberships.join(user, memberships.Joining("Ada's club", "DE", bank))
    Email.objects.all().delete()  # the welcome has tests of its own
    return affiliate


def test_payout_details_show_the_hint_and_never_the_account(ada):
    make_affiliate_of(ada)
    answer = confirmed(ada).get(DETAILS)
    page = text_of(answer)
    assert "DE•• •••• 3000" in page
    assert "Ada Partner" in page
    assert "0440532013" not in page.replace(" ", "")
    assert answer["Cache-Control"] == "no-store"


def test_payout_details_are_changed_and_their_owner_gets_a_message(ada):
    affiliate = make_affiliate_of(ada)
    answer = confirmed(ada).post(
        DETAILS, {"method": "bank", "payee_name": "Ada L. Partner", "iban": OTHER_IBAN}, follow=True
    )
    page = text_of(answer)
    assert "Your payout details are changed." in page
    assert "GB•• •••• 5432" in page
    assert OTHER_IBAN not in page
    affiliate.refresh_from_db()
    assert (account_in(affiliate.payout_sealed), affiliate.payee_name) == (
        OTHER_IBAN,
        "Ada L. Partner",
    )
    mail = Email.objects.get()
    assert (mail.kind, mail.to, mail.context["hint"]) == (
        "affiliate_details_changed",
        "ada@example.com",
        "GB•• •••• 5432",
    )
    assert OTHER_IBAN not in json.dumps(mail.context)


def test_the_same_payout_details_once_more_send_no_message(ada):
    make_affiliate_of(ada)
    page = text_of(
        confirmed(ada).post(
            DETAILS, {"method": "bank", "payee_name": "Ada Partner", "iban": IBAN}, follow=True
        )
    )
    assert "nothing has changed" in page
    assert not Email.objects.exists()


def test_wrong_payout_details_change_nothing(ada):
    make_affiliate_of(ada)
    before = list(Affiliate.objects.values())
    answer = confirmed(ada).post(
        DETAILS, {"method": "bank", "payee_name": "Ada Partner", "iban": "DE00"}
    )
    assert answer.status_code == 400
    assert WRONG_IBAN in text_of(answer)
    assert list(Affiliate.objects.values()) == before
    assert not Email.objects.exists()


def test_new_details_that_come_without_the_password_are_kept_nowhere(ada):
    """allauth would lay the whole form into the session, to go on with it after the password."""
    make_affiliate_of(ada)
    client = signed_in(ada)
    answer = client.post(DETAILS, {"method": "bank", "payee_name": "Eve", "iban": OTHER_IBAN})
    assert (answer.status_code, answer["Location"]) == (302, DETAILS)
    assert [
        OTHER_IBAN in json.dumps(session.get_decoded()) for session in Session.objects.all()
    ] == [False]
    assert not any(
        OTHER_IBAN in str(row)
        for model in apps.get_models()
        for row in model._base_manager.values()
    )
    assert Affiliate.objects.get().payout_hint == "DE•• •••• 3000"
    assert not Email.objects.exists()


def test_nobody_reaches_the_details_of_another(ada):
    make_affiliate("grace@example.com")
    client = confirmed(ada)
    for answer in (client.get(DETAILS), client.post(DETAILS, {"method": "later"})):
        assert (answer.status_code, answer["Location"]) == (302, JOIN)
    assert Affiliate.objects.get().payout_method == "bank"


def test_a_suspended_affiliate_may_still_say_where_money_goes(ada):
    affiliate = make_affiliate_of(ada)
    memberships.suspend(affiliate, by="staff@example.com", reason="Spam")
    assert confirmed(ada).post(DETAILS, {"method": "later"}).status_code == 302
    affiliate.refresh_from_db()
    assert (affiliate.payout_method, affiliate.status) == ("later", "suspended")


# --- for programs ---------------------------------------------------------------------------------
def test_a_program_joins_and_reads_its_figures(ada):
    client = signed_in(ada)
    answer = register(client)
    affiliate = Affiliate.objects.get()
    assert answer.status_code == 201
    assert attribution.read_partner(answer.cookies["partner"].value) == affiliate.code
    assert (
        answer.json()
        == client.get("/api/affiliate").json()
        == {
            "code": affiliate.code,
            "link": f"http://testserver/r/{affiliate.code}/",
            "name": "Ada's club",
            "status": "active",
            "rateBasisPoints": 1000,
            "rate": "10 %",
            "payoutMethod": "bank",
            "payoutAccount": "DE•• •••• 3000",
            "balances": [],
        }
    )
    assert affiliate.network_key
    assert list(Email.objects.values_list("kind", flat=True)) == ["affiliate_welcome"]


@pytest.mark.every_engine
def test_figures_are_minor_units_and_what_a_reader_expects_by_currency(client, ada):
    affiliate = make_affiliate_of(ada)
    sell(client, affiliate)
    sell(client, affiliate, make_course(price=19999, currency="eur"))
    sell(client, make_affiliate())
    with statements() as asked:
        found = signed_in(ada).get("/api/affiliate").json()["balances"]
    nothing = {"usd": {"amount": 0, "display": "$0.00"}, "eur": {"amount": 0, "display": "€0.00"}}
    pending = {
        "usd": {"amount": 4990, "display": "$49.90"},
        "eur": {"amount": 2000, "display": "€20.00"},
    }
    assert found == [
        {
            "currency": name,
            "pending": pending[name],
            **dict.fromkeys(("payable", "paid", "held"), nothing[name]),
        }
        for name in ("eur", "usd")
    ]
    assert len([sql for sql in asked if "affiliates_" in sql]) == 2
    assert Commission.objects.count() == 3


def test_programs_are_refused_in_our_shape(client, ada):
    def refused(answer) -> tuple[int, str]:
        assert set(answer.json()) == {"error", "code", "retryable", "details", "timestamp"}
        return answer.status_code, answer.json()["code"]

    assert refused(client.get("/api/affiliate")) == (401, "SIGN_IN_NEEDED")
    assert refused(register(client)) == (401, "SIGN_IN_NEEDED")
    member = signed_in(ada)
    assert refused(member.get("/api/affiliate")) == (404, "NOT_AN_AFFILIATE")
    assert refused(member.post("/api/affiliate")) == (405, "METHOD_NOT_ALLOWED")
    assert refused(member.get(REGISTER)) == (405, "METHOD_NOT_ALLOWED")
    assert refused(register(signed_in(ada, enforce_csrf_checks=True))) == (403, "FORBIDDEN")
    assert refused(register(member, iban="DE00")) == (400, "INVALID_JOINING")
    assert refused(member.post(REGISTER, data="[]", content_type="application/json")) == (
        400,
        "BAD_REQUEST",
    )
    assert refused(
        member.post(REGISTER, data='{"name": "\\ud800"}', content_type="application/json")
    ) == (400, "BAD_REQUEST")
    assert refused(
        member.post(REGISTER, data=b"{" + b" " * 70_000 + b"}", content_type="application/json")
    ) == (413, "PAYLOAD_TOO_LARGE")
    EmailAddress.objects.filter(user=ada).update(verified=False)
    assert refused(register(member)) == (403, "EMAIL_NOT_VERIFIED")
    assert_nobody_joined()
    EmailAddress.objects.filter(user=ada).update(verified=True)
    assert register(member).status_code == 201
    assert refused(register(member)) == (409, "ALREADY_AFFILIATE")
    assert (Affiliate.objects.count(), Email.objects.count()) == (1, 1)


def test_a_program_learns_which_field_is_wrong_and_gets_no_account_back(ada):
    answer = register(signed_in(ada), iban="DE89370400440532013001", acceptTerms="yes")
    fields = answer.json()["details"]["fields"]
    assert fields == {
        "iban": [WRONG_IBAN],
        "acceptTerms": ["Please accept the terms of the program."],
    }
    assert "370400440532" not in text_of(answer)


def test_reading_the_figures_is_limited_like_the_rest(ada, settings):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "api": "2/60s"}
    client = signed_in(ada)
    assert [client.get("/api/affiliate").status_code for _ in range(3)] == [404, 404, 429]


# --- what a buyer sees ---------------------------------------------------------------------------
def checkout_of(affiliate: Affiliate | None, client: Client | None = None) -> str:
    client = client or Client()
    if affiliate:
        client.cookies["ref"] = attribution.seal(affiliate.code)
    return text_of(client.get(f"/checkout/{make_course().slug}/"))


def test_the_checkout_says_who_referred_the_buyer():
    assert "Referred by <strong>Ada&#x27;s club</strong>" in checkout_of(make_affiliate())


def test_the_name_of_the_affiliate_cannot_be_code():
    page = checkout_of(make_affiliate(name=PAYLOAD))
    assert "Referred by <strong>&lt;svg onload=alert(1)&gt;</strong>" in page
    assert "<svg onload" not in page


def test_a_buyer_with_a_link_of_their_own_reads_so(ada):
    page = checkout_of(make_affiliate_of(ada), signed_in(ada))
    assert (
        "This is your own link. You can buy as usual; your own purchases earn no commission."
        in page
    )
    assert "Referred by" not in page


@pytest.mark.parametrize("case", ["nobody", "suspended", "closed", "applied", "unknown", "forged"])
def test_about_any_other_link_there_is_no_word(case, settings):
    settings.AFFILIATE_AUTO_APPROVE = case != "applied"
    affiliate = make_affiliate() if case != "nobody" else None
    client = Client()
    if affiliate and case in ("suspended", "closed"):
        {"suspended": memberships.suspend, "closed": memberships.close}[case](
            affiliate, by="staff@example.com", reason="Spam"
        )
    if case == "unknown":
        client.cookies["ref"], affiliate = attribution.seal("zzzzzzzz"), None
    if case == "forged" and affiliate:
        client.cookies["ref"], affiliate = f"{affiliate.code}:1a2b3c:AAAA", None
    page = checkout_of(affiliate, client)
    assert 'class="order"' in page
    for word in ("Referred by", "own link", "Ada&#x27;s club"):
        assert word not in page


def test_trying_a_coupon_without_javascript_keeps_the_notice(settings):
    coupon = make_coupon()
    client = Client()
    client.cookies["ref"] = attribution.seal(make_affiliate().code)
    page = text_of(
        client.post(
            f"/checkout/{coupon.course.slug}/coupon/",
            {"email": coupon.email, "coupon": coupon.code},
        )
    )
    assert "Referred by <strong>Ada&#x27;s club</strong>" in page


def test_a_page_that_is_shown_again_says_whose_link_it_is_by_the_address_that_was_typed(
    client, ada
):
    client.cookies["ref"] = attribution.seal(make_affiliate_of(ada).code)
    path = f"/checkout/{make_course().slug}/"
    own, other, none = (
        text_of(client.post(path, {"email": email}))
        for email in ("A.d.a+x@example.com", "friend@example.com", "")
    )
    assert "This is your own link." in own
    assert "Referred by" not in own
    for page in (other, none):
        assert "Referred by" in page
        assert "own link" not in page


def test_an_old_link_names_nobody_and_only_ones_own_account_sees_that_it_is_ones_own(ada):
    affiliate = make_affiliate_of(ada)
    path = f"/checkout/{make_course().slug}/"
    guest, known = visitor(), signed_in(ada)
    for client in (guest, known):
        client.get("/", {"ref": affiliate.email}, headers={"user-agent": BROWSER})
    assert "This is your own link." in text_of(known.get(path))
    for page in (text_of(guest.get(path)), text_of(guest.post(path, {"email": affiliate.email}))):
        assert "You came here through a partner's link." in page
        assert "own link" not in page


def test_the_status_page_says_that_the_link_was_the_buyers_own(client):
    own, _ = make_pending(referral_outcome="self")
    others, _ = make_referred(make_affiliate())
    inactive, _ = make_pending(referral_outcome="inactive")
    said = "your own purchases earn no commission"
    assert [
        said in text_of(client.get(one.get_absolute_url())) for one in (own, others, inactive)
    ] == [True, False, False]


def test_buying_through_an_own_link_without_signing_in_earns_nothing_and_is_said_afterwards(
    client, ada, sandbox
):
    client.cookies["ref"] = attribution.seal(make_affiliate_of(ada).code)
    client.post(
        f"/checkout/{make_course().slug}/", {"email": "A.d.a+x@example.com", "accept_terms": "on"}
    )
    enrollment = Enrollment.objects.get()
    assert (enrollment.referral_outcome, enrollment.affiliate_id) == ("self", None)
    assert "your own purchases earn no commission" in text_of(
        client.get(enrollment.get_absolute_url())
    )
