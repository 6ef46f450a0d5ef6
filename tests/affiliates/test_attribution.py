"""Who brought a buyer, and who must not be credited: the cookie's text, the look-up, the rule about
one's own purchases.
"""

import time
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.models import AnonymousUser
from django.core import signing
from django.test import RequestFactory
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from affiliates import attribution, memberships
from affiliates.attribution import Click, alias_key, find, read, resolve, seal
from affiliates.codes import normalize_code
from affiliates.models import Affiliate
from affiliates.payout_details import PayoutDetails
from maaledu import vault
from tests.affiliates.make import make_affiliate, make_user
from tests.statements import statements

pytestmark = pytest.mark.any_engine

CODE = "abcdefgh"
OTHER = "hgfedcba"


def sealed(code: str, *, age: timedelta = timedelta(0), salt: str = attribution.SALT) -> str:
    """Return a cookie's text as it was made that long ago."""
    moment = signing.b62_encode(int(time.time() - age.total_seconds()))
    return signing.Signer(salt=salt).sign(f"{code}:{moment}")


# --- the cookie -----------------------------------------------------------------------------------


def test_what_is_sealed_can_be_read():
    assert read(seal(CODE)) == CODE
    assert sealed(CODE) == seal(CODE)


def test_a_cookie_holds_the_code_and_the_moment_and_nothing_else():
    code, moment, signature = seal(CODE).split(":")
    assert code == CODE
    assert signing.b62_decode(moment) == pytest.approx(time.time(), abs=2)
    assert len(signature) == 43


BAD_COOKIES = {
    "empty": "",
    "only the code": CODE,
    "truncated": seal(CODE)[:-1],
    "lengthened": seal(CODE) + "A",
    "another code": seal(CODE).replace(CODE, OTHER),
    "another moment": sealed(CODE).replace(sealed(CODE).split(":")[1], "zzzzzz"),
    "no moment": signing.Signer(salt=attribution.SALT).sign(CODE),
    "foreign salt": sealed(CODE, salt="django.contrib.sessions"),
    "the partner's own": attribution.seal_partner(CODE),
    "another key": signing.TimestampSigner(key="somebody else's", salt=attribution.SALT).sign(CODE),
    "5 KB": "x" * 5000,
    "5 KB, signed": seal("a" * 5000),
    "signed, but no code": seal("<script>alert(1)</script>"),
    "signed, with an ambiguous letter": seal("abcdefg0"),
    "NUL": "\0",
    "latin-1": "caf\xe9:x:y",
    "lone surrogate": "\ud800:x:y",
    "hidden, truncated": attribution.hide(seal(CODE))[:-1],
    "hidden, another byte": (
        attribution.hide(seal(CODE))[:40] + "AAAA" + attribution.hide(seal(CODE))[44:]
    ),
    "hidden, but not sealed": "~" + vault.seal({"ref": CODE}).rstrip("="),
    "hidden, something else": "~" + vault.seal({"account": "DE89370400440532013000"}).rstrip("="),
    "hidden twice": attribution.hide(attribution.hide(seal(CODE))),
    "hidden, 5 KB": "~" + "A" * 5000,
    "the mark alone": "~",
    "the mark and more": "~caf\xe9\ud800=",
    "signature only": f"::{seal(CODE).split(':')[2]}",
    "colons": ":" * 100,
}


@pytest.mark.parametrize("name", BAD_COOKIES)
def test_any_other_text_is_no_cookie_of_ours(name: str):
    assert read(BAD_COOKIES[name]) == ""
    assert not attribution.is_hidden(BAD_COOKIES[name])


@hypothesis_settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(max_size=300))
def test_no_text_whatsoever_is_taken_for_a_cookie_or_breaks_its_reading(text: str):
    assert read(text) == read(f"~{text}") == ""
    assert attribution.read_partner(text) == ""
    assert normalize_code(text) in text.lower()


def test_a_cookie_is_good_for_thirty_days():
    days = timedelta(days=30)
    assert read(sealed(CODE, age=days - timedelta(seconds=5))) == CODE
    assert read(sealed(CODE, age=days + timedelta(seconds=5))) == ""


def test_how_long_a_cookie_is_good_for_is_a_setting(settings):
    settings.ATTRIBUTION_LIFETIME = timedelta(days=7)
    assert read(sealed(CODE, age=timedelta(days=6))) == CODE
    assert read(sealed(CODE, age=timedelta(days=8))) == ""


def next_code(cookie: str, affiliate: Affiliate | None, *, by_address: bool = False) -> str:
    """Return whose cookie a click leaves behind."""
    return read(attribution.next_cookie(cookie, affiliate, by_address=by_address) or cookie)


def test_the_last_click_takes_the_place_of_any_other():
    first, second = make_affiliate(), make_affiliate()
    assert (
        next_code(seal(first.code), second)
        == next_code("", second)
        == next_code("forged", second)
        == second.code
    )


def test_only_where_the_first_click_counts_a_good_cookie_stays(settings):
    settings.ATTRIBUTION_MODEL = "first_click"
    first, second = make_affiliate(), make_affiliate()
    good, over = seal(first.code), sealed(first.code, age=timedelta(days=31))
    assert attribution.next_cookie(good, second, by_address=False) == ""
    assert next_code(good, second) == first.code
    assert {next_code(other, second) for other in ("", good[:-1], over, seal("nnnnnnnn"))} == {
        second.code
    }


@pytest.mark.parametrize("end", [memberships.suspend, memberships.close])
def test_a_first_click_counts_only_as_long_as_its_affiliate_is_active(settings, end):
    """Requirement R073: who cannot be credited keeps nobody else from it."""
    settings.ATTRIBUTION_MODEL = "first_click"
    first, second = make_affiliate(), make_affiliate()
    end(first, by="staff@example.com", reason="Looked into")
    assert (
        next_code(seal(first.code), second)
        == next_code(attribution.hide(seal(first.code)), second)
        == second.code
    )


# --- the cookie of an old link --------------------------------------------------------------------


def test_what_is_hidden_can_be_read_by_us_alone():
    hidden = attribution.hide(seal(CODE))
    assert (read(hidden), attribution.is_hidden(hidden), attribution.is_hidden(seal(CODE))) == (
        CODE,
        True,
        False,
    )
    assert CODE not in hidden
    assert len(hidden) < attribution.MAX_COOKIE_LENGTH
    assert hidden != attribution.hide(seal(CODE))


def test_the_cookie_for_an_address_of_nobody_looks_like_any_other_and_names_nobody():
    known, unknown = attribution.hide(seal(CODE)), attribution.hide("")
    assert (read(unknown), attribution.is_hidden(unknown)) == ("", True)
    assert len(unknown) == len(known)
    assert unknown[:3] == known[:3] == "~gA"


def test_an_old_link_hides_whose_cookie_it_leaves_and_takes_nothing_from_whom_was_clicked_before():
    first, second = make_affiliate(), make_affiliate()
    old = sealed(first.code, age=timedelta(days=29))
    assert next_code(old, second, by_address=True) == second.code
    assert next_code(old, None, by_address=True) == first.code
    assert next_code(attribution.hide(old), None, by_address=True) == first.code
    assert next_code("", None, by_address=True) == ""
    cookies = [attribution.next_cookie(old, who, by_address=True) for who in (second, None)]
    assert [attribution.is_hidden(cookie) for cookie in cookies] == [True, True]


def test_hiding_a_cookie_again_makes_it_last_no_longer(settings):
    cookie = attribution.next_cookie(sealed(CODE, age=timedelta(days=29)), None, by_address=True)
    settings.ATTRIBUTION_LIFETIME = timedelta(days=28)
    assert read(cookie) == ""


def test_where_the_first_click_counts_a_later_one_does_not_show_whether_an_old_link_was_anybodys(
    settings,
):
    settings.ATTRIBUTION_MODEL = "first_click"
    first, second = make_affiliate(), make_affiliate()
    anybodys, nobodys = (attribution.hide(text) for text in (seal(first.code), ""))
    assert (
        next_code(anybodys, second, by_address=True),
        next_code(nobodys, second, by_address=True),
    ) == (first.code, second.code)
    assert next_code(anybodys, second) == first.code
    assert attribution.is_hidden(attribution.next_cookie(anybodys, second, by_address=False))


def test_the_partners_own_cookie_is_read_only_as_such():
    assert attribution.read_partner(attribution.seal_partner(CODE)) == CODE
    assert attribution.read_partner(seal(CODE)) == ""
    assert attribution.read_partner("") == attribution.read_partner("x" * 5000) == ""


# --- the click ------------------------------------------------------------------------------------


def request_with(settings, cookie: str = "", partner: str = "", user=None):
    request = RequestFactory().get("/")
    request.COOKIES = {settings.REFERRAL_COOKIE_NAME: cookie, settings.PARTNER_COOKIE_NAME: partner}
    request.user = user or AnonymousUser()
    return request


def test_a_click_says_where_a_buyer_came_from_and_who_they_are(settings):
    user = make_user()
    request = request_with(settings, seal(CODE), attribution.seal_partner(OTHER), user)
    click = attribution.click_of(request)
    assert click == Click(CODE, attribution.network_key(request), OTHER, user)
    assert len(click.network_key) == 64
    assert "127.0.0.1" not in click.network_key


def test_a_code_that_a_program_names_goes_before_the_cookie_and_the_buyer_stays_the_same(settings):
    user = make_user()
    click = attribution.click_of(request_with(settings, seal(CODE), user=user), code=OTHER)
    assert (click.code, click.user) == (OTHER, user)


def test_without_a_link_there_is_no_click_and_no_statement(settings):
    with statements() as asked:
        assert attribution.click_of(request_with(settings)) is None
        assert attribution.click_of(request_with(settings, "forged")) is None
    assert asked == []


# --- who it is ------------------------------------------------------------------------------------


def test_an_affiliate_is_found_by_code_or_by_the_address_of_an_old_link():
    affiliate = make_affiliate("ada+club@example.com")
    for text in (
        affiliate.code,
        f" {affiliate.code.upper()} ",
        "ada+club@example.com",
        "Ada+Club@Example.COM",
        "ada club@example.com",
    ):
        assert find(text) == affiliate, text


NOBODY = [
    "",
    " ",
    "nnnnnnnn",
    "nobody@example.com",
    "@",
    "a@b@c",
    "\0",
    "a\0@example.com",
    "x" * 10_000,
    "x" * 10_000 + "@example.com",
    "<script>alert(1)</script>",
    "' OR 1=1--",
    "\ud800@example.com",
    "ada@example.com\r\nSet-Cookie: x=1",
    "%00",
    "٣٣٣٣٣٣٣٣",
]


@pytest.mark.parametrize("text", NOBODY, ids=lambda text: ascii(text)[:20])
def test_any_other_text_finds_nobody(text: str):
    make_affiliate("ada@example.com")
    assert find(text) is None


ALIASES = [
    ("ada@example.com", "ada@example.com"),
    ("Ada@Example.COM", "ada@example.com"),
    ("ada+spring@example.com", "ada@example.com"),
    ("a.d.a@example.com", "ada@example.com"),
    ("a.da+x+y@example.com", "ada@example.com"),
    ("ada@googlemail.com", "ada@gmail.com"),
    ("+tag@example.com", "+tag@example.com"),
    ("ada@sub.example.com", "ada@sub.example.com"),
]


@pytest.mark.parametrize(("address", "key"), ALIASES)
def test_what_mail_servers_ignore_is_no_difference(address: str, key: str):
    assert alias_key(address) == key


@pytest.mark.parametrize(
    "other",
    [
        "adam@example.com",
        "ada@example.org",
        "ada-spring@example.com",
        "a_da@example.com",
        "ada@gmail.com",
    ],
)
def test_other_people_stay_other_people(other: str):
    assert alias_key(other) != alias_key("ada@example.com")


def test_an_active_affiliate_is_credited():
    affiliate = make_affiliate()
    referral = resolve(Click(affiliate.code), email="buyer@example.com")
    assert (referral.outcome, referral.affiliate, referral.is_credited, referral.signals) == (
        "credited",
        affiliate,
        True,
        (),
    )


def test_a_code_that_nobody_has_is_unknown():
    assert resolve(Click("abcdefgh"), email="buyer@example.com").outcome == "unknown"


@pytest.mark.parametrize("end", [memberships.suspend, memberships.close])
def test_an_affiliate_who_is_not_active_now_is_not_credited(end):
    """Requirement R073."""
    affiliate = make_affiliate()
    end(affiliate, by="staff@example.com", reason="Looked into")
    assert resolve(Click(affiliate.code), email="buyer@example.com").outcome == "inactive"


def test_an_affiliate_who_was_not_approved_yet_is_not_credited(settings):
    settings.AFFILIATE_AUTO_APPROVE = False
    affiliate = make_affiliate()
    assert affiliate.status == "applied"
    assert resolve(Click(affiliate.code), email="buyer@example.com").outcome == "inactive"


OWN = [
    "ada@example.com",
    "ada+1@example.com",
    "a.d.a@example.com",
    "second@example.org",
    "sec.ond+x@example.org",
]


@pytest.mark.parametrize("email", OWN)
def test_a_purchase_with_an_address_of_ones_own_or_a_variant_of_it_is_not_credited(email: str):
    affiliate = make_affiliate("ada@example.com")
    EmailAddress.objects.create(user=affiliate.user, email="second@example.org", verified=True)
    assert resolve(Click(affiliate.code), email=email).outcome == "self"


def test_a_purchase_from_ones_own_account_is_not_credited_whatever_address_is_typed():
    affiliate = make_affiliate()
    assert (
        resolve(Click(affiliate.code, user=affiliate.user), email="friend@example.com").outcome
        == "self"
    )
    assert (
        resolve(Click(affiliate.code, user=make_user()), email="friend@example.com").outcome
        == "credited"
    )


@pytest.mark.parametrize(
    ("account", "email"),
    [
        ("payee@example.org", "payee@example.org"),
        ("payee@example.org", "Pay.ee+x@Example.org"),
        ("pay.ee@example.org", "pay.ee+x@example.org"),
    ],
)
def test_a_purchase_with_the_paypal_address_of_the_affiliate_is_their_own(account: str, email: str):
    """Contracts, I8: the payout account; its variants as far as its keyed hash shows."""
    affiliate = make_affiliate(
        "ada@example.com", details=PayoutDetails(Affiliate.PAYPAL, "", account)
    )
    assert resolve(Click(affiliate.code), email=email).outcome == "self"


@pytest.mark.parametrize(
    "details",
    [
        None,
        PayoutDetails(Affiliate.LATER),
        PayoutDetails(Affiliate.PAYPAL, "", "other@example.org"),
    ],
)
def test_whoever_is_paid_elsewhere_is_somebody_else(details: PayoutDetails | None):
    affiliate = make_affiliate("ada@example.com", details=details)
    for email in ("payee@example.org", "@", ""):
        assert resolve(Click(affiliate.code), email=email).outcome == "credited"


def test_ones_own_purchase_is_called_so_also_while_suspended():
    affiliate = make_affiliate("ada@example.com")
    memberships.suspend(affiliate, by="staff@example.com", reason="Looked into")
    assert resolve(Click(affiliate.code), email="ada@example.com").outcome == "self"


def test_a_purchase_from_the_affiliates_address_or_device_is_credited_and_shown_to_staff():
    affiliate = make_affiliate()
    memberships.remember_network(affiliate, "n" * 64)
    affiliate.refresh_from_db()
    seen = {
        (): Click(affiliate.code, "other", "other"),
        ("same_address",): Click(affiliate.code, "n" * 64),
        ("same_device",): Click(affiliate.code, "", affiliate.code),
        ("same_address", "same_device"): Click(affiliate.code, "n" * 64, affiliate.code),
    }
    for signals, click in seen.items():
        referral = resolve(click, email="buyer@example.com")
        assert (referral.outcome, referral.signals) == ("credited", signals)


@pytest.mark.every_engine
def test_an_affiliate_without_a_known_address_matches_nobody_without_one():
    affiliate = make_affiliate()
    type(affiliate).objects.update(network_key="")
    assert resolve(Click(affiliate.code, ""), email="buyer@example.com").signals == ()


@pytest.mark.every_engine
def test_whom_a_purchase_is_credited_to_takes_two_statements():
    affiliate = make_affiliate()
    with statements() as asked:
        resolve(Click(affiliate.code), email="buyer@example.com")
    assert len(asked) == 2
