"""The second factor of those in the office: set up, asked for, used once, lost."""

import json
import re
import time
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.test import Client

from accounts import second_factor
from accounts.models import AuditEntry, User
from maaledu.vault import is_sealed_with_first_key
from tests.accounts.conftest import PASSWORD, sign_in
from tests.accounts.passkey import Passkey
from tests.concurrency import race

pytestmark = pytest.mark.any_engine

BOSS, SECRET = "boss@example.com", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
SET_UP, ASKED, SHOWN = "/accounts/2fa/", "/accounts/2fa/authenticate/", "/admin/"
ACTIVATE, RECOVERY = "/accounts/2fa/totp/activate/", "/accounts/2fa/recovery-codes/"
ADD_PASSKEY = "/accounts/2fa/webauthn/add/"


@pytest.fixture(autouse=True)
def _needed(settings) -> None:
    settings.OFFICE_SECOND_FACTOR = True


def make_staff(email: str) -> User:
    return User.objects.create_superuser(email, PASSWORD)


@pytest.fixture
def boss(db) -> User:
    return make_staff(BOSS)


@pytest.fixture
def app(boss: User) -> Authenticator:
    """The boss has an authenticator app and recovery codes."""
    RecoveryCodes.activate(boss)
    return TOTP.activate(boss, SECRET).instance


def code(halves: int = 0, secret: str = SECRET) -> str:
    """Return what the app shows, or showed so many half minutes ago."""
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 - halves))


def a_minute_later() -> None:
    """Codes are for half a minute: let the last one that was used be of long ago."""
    Authenticator.objects.update(last_used_at=None)


def enter(browser: Client, typed: str) -> Any:
    """Sign in with the password, then with a code."""
    assert sign_in(browser, BOSS)["Location"] == ASKED
    return browser.post(ASKED, {"code": typed})


def is_in(browser: Client) -> bool:
    return browser.get(SHOWN).status_code == 200


def log(*kinds: str) -> list[tuple[str, str]]:
    rows = AuditEntry.objects.filter(kind__in=kinds).order_by("created_at", "id")
    return [(each.actor, re.sub(r", from .+", "", each.what)) for each in rows]


def asked_of(page: Any, name: str) -> dict[str, Any]:
    found = re.search(r'<script id="js_data" type="application/json">(.+?)</script>', page)
    assert found
    return json.loads(found[1])[name]


# --- setting it up --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "path",
    ["/admin/", "/admin/login/", "/admin/accounts/user/", "/admin/stripe-check/", "/admin/x"],
)
def test_staff_without_one_are_led_to_set_it_up_before_any_page(boss, visitor, path):
    sign_in(visitor, BOSS)
    for answer in (visitor.get(path), visitor.post(path)):
        assert (answer.status_code, answer["Location"]) == (302, SET_UP)
    assert "The office needs one" in visitor.get(SET_UP).content.decode()


@pytest.mark.every_engine
def test_an_app_is_set_up_with_recovery_codes_and_opens_the_office(boss, visitor, mailoutbox):
    sign_in(visitor, BOSS)
    page = visitor.get(ACTIVATE).content.decode()
    key = re.search(r'<code class="key">(\w+)</code>', page)[1]
    assert "data:image/svg+xml" in page
    typed = code(secret=key)
    assert visitor.post(ACTIVATE, {"code": typed})["Location"] == RECOVERY
    shown = visitor.get(RECOVERY).content.decode()
    assert len(re.findall(r"<li><code>\d{8}</code></li>", shown)) == 10
    assert is_in(visitor)
    assert [mail.subject for mail in mailoutbox] == ["Authenticator app set up"]
    assert log("second_factor") == [(BOSS, "set up an authenticator app")]
    assert not is_in_after(Client(), typed)


def is_in_after(browser: Client, typed: str) -> bool:
    enter(browser, typed)
    return is_in(browser)


def test_a_wrong_code_sets_nothing_up(boss, visitor):
    sign_in(visitor, BOSS)
    visitor.get(ACTIVATE)
    page = visitor.post(ACTIVATE, {"code": "000000"}).content.decode()
    assert "This code is not right" in page
    assert not Authenticator.objects.exists()
    assert not is_in(visitor)


def test_somebody_who_signed_in_long_ago_confirms_the_password_first(boss, visitor):
    visitor.force_login(boss)
    assert visitor.get(ACTIVATE)["Location"].startswith("/accounts/reauthenticate/")


def test_secrets_are_sealed_at_rest_and_sealed_anew_when_the_key_is_rolled(app, settings, capsys):
    assert SECRET not in json.dumps(app.data)
    settings.DETAILS_KEYS = [Fernet.generate_key().decode(), *settings.DETAILS_KEYS]
    call_command("reseal")
    call_command("reseal")
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["2", "0"]
    rows = {each.type: each.data for each in Authenticator.objects.all()}
    assert is_sealed_with_first_key(rows["totp"]["secret"])
    assert is_sealed_with_first_key(rows["recovery_codes"]["seed"])
    settings.DETAILS_KEYS = settings.DETAILS_KEYS[:1]
    assert second_factor.use_code(app.user, code())


# --- signing in -----------------------------------------------------------------------------------
def test_password_and_code_open_the_office_and_the_change_log_says_so(app, visitor):
    answer = enter(visitor, code())
    assert answer.status_code == 302
    assert is_in(visitor)
    assert log("signed_in") == [(BOSS, "signed in with password and authenticator app")]


def test_the_password_alone_opens_nothing(app, visitor):
    sign_in(visitor, BOSS)
    assert "_auth_user_id" not in visitor.session
    assert visitor.get(SHOWN)["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("typed", [code(halves=3), "000000", "", "code", "１２３４５６", "9" * 300])
def test_a_wrong_or_old_code_is_refused_and_noted(app, visitor, typed):
    assert enter(visitor, typed).status_code == 200
    assert "_auth_user_id" not in visitor.session
    refused = [(BOSS, "wrong second factor")] if typed else []
    assert log("sign_in_refused") == refused


def test_a_code_is_good_for_the_next_half_minute_too(app, visitor):
    assert is_in_after(visitor, code(halves=1))


def test_a_code_that_was_used_is_refused(app, visitor):
    typed = code()
    assert is_in_after(visitor, typed)
    assert not is_in_after(Client(), typed)
    assert log("sign_in_refused") == [(BOSS, "wrong second factor")]


def test_a_code_from_before_the_last_one_used_is_refused(app):
    assert second_factor.use_code(app.user, code())
    assert second_factor.use_code(app.user, code(halves=1)) is None


@pytest.mark.every_engine
def test_of_many_who_send_one_code_at_once_one_gets_in(app):
    typed, boss = code(), app.user
    assert race(lambda _: bool(second_factor.use_code(boss, typed)), threads=8).count(True) == 1
    recovery = Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes()[0]
    used = race(lambda _: bool(second_factor.use_code(boss, recovery)), threads=8)
    assert used.count(True) == 1


def test_ten_wrong_ones_are_the_limit_wherever_they_come_from(app, visitor):
    for number in range(2):
        browser = Client(REMOTE_ADDR=f"203.0.113.{number}")
        sign_in(browser, BOSS)
        assert "Use a passkey" not in browser.get(ASKED).content.decode()  # there is none
        answers = [browser.post(ASKED, {"code": "000000"}).status_code for _ in range(5)]
        assert answers == [200] * 5
    refused = enter(visitor, code())
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 900
    assert "_auth_user_id" not in visitor.session


@pytest.mark.every_engine
def test_a_recovery_code_gets_in_once(app, visitor):
    first, second = Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes()[:2]
    assert is_in_after(visitor, f"{first[:4]} {first[4:]}")
    assert not is_in_after(Client(), first)
    assert is_in_after(Client(), second)
    assert second_factor.described(app.user) == "authenticator app, 8 recovery codes"


def test_sessions_from_before_show_it_and_go_on_where_they_were(app, visitor):
    visitor.force_login(app.user)
    asked = visitor.get("/admin/accounts/user/?q=x")["Location"]
    assert asked == "/accounts/2fa/reauthenticate/?next=%2Fadmin%2Faccounts%2Fuser%2F%3Fq%3Dx"
    assert "Use a code" not in visitor.get(asked).content.decode()
    answer = visitor.post(asked, {"code": code(), "next": "/admin/accounts/user/?q=x"})
    assert answer["Location"] == "/admin/accounts/user/?q=x"
    assert is_in(visitor)


def test_where_it_is_not_needed_the_password_is_enough_for_who_has_none(boss, visitor, settings):
    settings.OFFICE_SECOND_FACTOR = False
    sign_in(visitor, BOSS)
    assert is_in(visitor)


def test_what_staff_ask_of_the_api_takes_it_too(app, visitor):
    visitor.force_login(app.user)
    refused = visitor.get("/api/admin/retry-frappe-sync")
    assert (refused.status_code, refused.json()["code"]) == (401, "SECOND_FACTOR_NEEDED")
    visitor.post("/accounts/2fa/reauthenticate/", {"code": code()})
    assert visitor.get("/api/admin/retry-frappe-sync").status_code == 200


def test_a_program_signs_in_with_the_code_and_not_without(app, visitor):
    path, sent = "/api/auth/signin", {"email": BOSS, "password": PASSWORD}
    for typed in ("", "000000"):
        body = sent | {"code": typed}
        refused = visitor.post(path, body, content_type="application/json")
        assert (refused.status_code, refused.json()["code"]) == (401, "SECOND_FACTOR_NEEDED")
        assert "_auth_user_id" not in visitor.session
    body = sent | {"code": code()}
    assert visitor.post(path, body, content_type="application/json").status_code == 200
    assert is_in(visitor)


def test_details_of_health_take_it_too(app, visitor):
    visitor.force_login(app.user)
    assert visitor.get("/metrics").status_code == 401
    visitor.post("/accounts/2fa/reauthenticate/", {"code": code()})
    assert visitor.get("/metrics").status_code == 200


def test_a_learner_may_have_one_and_the_change_log_says_nothing_of_it(amina, visitor):
    sign_in(visitor)
    assert visitor.get(SET_UP).status_code == 200
    sign_in(Client(), password="wrong")
    assert not AuditEntry.objects.exists()


def test_a_wrong_password_for_the_office_is_in_the_change_log(boss, visitor):
    sign_in(visitor, BOSS, "wrong-password", REMOTE_ADDR="203.0.113.9")
    entry = AuditEntry.objects.get()
    assert (entry.kind, entry.actor) == ("sign_in_refused", BOSS)
    assert entry.what == "wrong password, from 203.0.113.0/24"


# --- passkeys -------------------------------------------------------------------------------------
@pytest.mark.every_engine
def test_a_passkey_is_added_signs_in_and_is_removed(boss, visitor):
    sign_in(visitor, BOSS)
    passkey = Passkey()
    page = visitor.get(ADD_PASSKEY, secure=True).content.decode()
    made = passkey.create(asked_of(page, "creation_options"))
    answer = visitor.post(ADD_PASSKEY, {"name": "Laptop", "credential": made}, secure=True)
    assert answer["Location"] == RECOVERY
    assert is_in(visitor)

    other = Client()
    sign_in(other, BOSS)
    page = other.get(ASKED, secure=True).content.decode()
    assert "Use a passkey" in page
    signed = passkey.get(asked_of(page, "request_options"))
    other.post(ASKED, {"credential": signed}, secure=True)
    assert is_in(other)
    assert log("signed_in")[-1] == (BOSS, "signed in with password and passkey")

    row = Authenticator.objects.get(type="webauthn")
    assert "Laptop" in other.get("/accounts/2fa/webauthn/").content.decode()
    other.post("/accounts/reauthenticate/", {"password": PASSWORD})
    other.post(f"/accounts/2fa/webauthn/keys/{row.pk}/remove/")
    assert not Authenticator.objects.exists()
    assert other.get(SHOWN)["Location"] == visitor.get(SHOWN)["Location"] == SET_UP


def test_another_passkey_and_an_answer_sent_again_are_refused(boss, visitor):
    sign_in(visitor, BOSS)
    passkey = Passkey()
    page = visitor.get(ADD_PASSKEY, secure=True).content.decode()
    made = passkey.create(asked_of(page, "creation_options"))
    visitor.post(ADD_PASSKEY, {"credential": made}, secure=True)
    other = Client()
    sign_in(other, BOSS)
    options = asked_of(other.get(ASKED, secure=True).content.decode(), "request_options")
    signed = passkey.get(options)
    for wrong in (Passkey().get(options), "{}", "no JSON", signed.replace("signature", "s")):
        assert other.post(ASKED, {"credential": wrong}, secure=True).status_code == 200
    assert "_auth_user_id" not in other.session
    again = Client()
    sign_in(again, BOSS)
    again.get(ASKED, secure=True)
    again.post(ASKED, {"credential": signed}, secure=True)
    assert "_auth_user_id" not in again.session


# --- loss -----------------------------------------------------------------------------------------
@pytest.mark.every_engine
def test_an_admin_takes_away_what_was_lost_and_old_sessions_set_up_anew(app, visitor, mailoutbox):
    enter(visitor, code())
    admin = make_staff("admin@example.com")
    TOTP.activate(admin, SECRET)
    other = Client()
    sign_in(other, admin.email)
    other.post(ASKED, {"code": code()})
    page = f"/admin/accounts/user/{app.user.pk}/reset_second_factor/"
    assert "call them back" in other.get(page).content.decode()
    other.post(page, {"decide": "1", "reason": "Lost the phone"})
    assert list(Authenticator.objects.values_list("user", flat=True)) == [admin.pk]
    assert visitor.get(SHOWN)["Location"] == SET_UP
    assert mailoutbox[-1].to == [BOSS]
    entry = AuditEntry.objects.get(kind="second_factor")
    assert (entry.actor, entry.row_name, entry.reason) == (admin.email, BOSS, "Lost the phone")
    assert entry.what == "second factor taken away: authenticator app, 10 recovery codes"
    assert "no second factor" in other.post(page, {"decide": "1", "reason": "R"}).content.decode()


@pytest.mark.every_engine
def test_nobody_takes_away_their_own(app, visitor):
    enter(visitor, code())
    page = f"/admin/accounts/user/{app.user.pk}/reset_second_factor/"
    answer = visitor.post(page, {"decide": "1", "reason": "R"})
    assert "Please ask a colleague" in answer.content.decode()
    assert Authenticator.objects.count() == 2


def test_the_last_one_is_reset_on_the_command_line(app, capsys):
    call_command("reset_second_factor", " Boss@example.com", reason="Only one of us")
    assert "authenticator app, 10 recovery codes" in capsys.readouterr().out
    assert AuditEntry.objects.get().actor == "manage.py"
    for email in (BOSS, "nobody@example.com", "boss"):
        with pytest.raises(CommandError):
            call_command("reset_second_factor", email, reason="Again")


def test_who_removes_the_last_one_sets_up_another_before_the_office_opens(app, visitor):
    enter(visitor, code())
    visitor.post("/accounts/reauthenticate/", {"password": PASSWORD})
    visitor.post("/accounts/2fa/totp/deactivate/")
    assert not Authenticator.objects.exists()
    assert visitor.get(SHOWN)["Location"] == SET_UP
    assert log("second_factor") == [(BOSS, "removed the authenticator app")]
