"""Signing in by a code alone, and an account in one tap from a status page."""

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.test import Client
from django.utils import timezone

from accounts import sign_in_codes
from accounts.models import AuditEntry, User
from tests.accounts.conftest import EMAIL, PASSWORD, code_in, sign_in
from tests.factories import make_pending

pytestmark = pytest.mark.any_engine

ASK, CONFIRM = "/accounts/login/code/", "/accounts/login/code/confirm/"
NEW = "new@example.com"


def ask(client: Client, email: str = EMAIL, **extra):
    return client.post(ASK, {"email": email}, **extra)


def enter(client: Client, message):
    return client.post(CONFIRM, {"code": code_in(message)})


def test_a_code_signs_its_owner_in_and_the_password_goes_on_working(amina, visitor, mailoutbox):
    assert ask(visitor, " Amina@EXAMPLE.com ")["Location"] == CONFIRM
    assert [message.to for message in mailoutbox] == [[EMAIL]]
    assert enter(visitor, mailoutbox[0])["Location"] == "/account/"
    assert visitor.session["_auth_user_id"] == str(amina.pk)
    assert sign_in(Client())["Location"] == "/account/"


def test_known_and_unknown_addresses_are_answered_alike(amina, mailoutbox):
    known, unknown = Client(), Client()
    answers = [ask(known), ask(unknown, "nobody@example.com")]
    assert {(each.status_code, each["Location"], each.content) for each in answers} == {
        (302, CONFIRM, b"")
    }
    assert [message.to for message in mailoutbox] == [[EMAIL]]
    pages = [known.get(CONFIRM).text, unknown.get(CONFIRM).text]
    assert len(pages[0].replace(EMAIL, "")) == len(pages[1].replace("nobody@example.com", ""))


def test_whoever_asks_for_a_new_code_reads_that_it_is_sent(amina, mailoutbox):
    pages = []
    for email in (EMAIL, "nobody@example.com"):
        visitor = Client()
        ask(visitor, email)
        assert "A new code is on its way" not in visitor.get(CONFIRM).text
        visitor.post(CONFIRM, {"action": "resend"})
        pages.append(visitor.get(CONFIRM).text.replace(email, ""))
    assert "A new code is on its way" in pages[0]
    assert len(pages[0]) == len(pages[1])


def test_three_guesses_end_the_attempt_and_a_code_is_of_no_use_elsewhere(
    amina, visitor, mailoutbox
):
    ask(visitor)
    stranger = Client()
    ask(stranger, "nobody@example.com")
    enter(stranger, mailoutbox[0])
    assert "_auth_user_id" not in stranger.session
    for _ in range(3):
        visitor.post(CONFIRM, {"code": "AAAA-AAAA"})
    enter(visitor, mailoutbox[0])
    assert "_auth_user_id" not in visitor.session


def test_a_wrong_code_of_staff_is_in_the_change_log(amina, visitor, mailoutbox):
    User.objects.filter(pk=amina.pk).update(is_staff=True)
    ask(visitor)
    visitor.post(CONFIRM, {"code": "AAAA-AAAA"})
    [entry] = AuditEntry.objects.all()
    assert (entry.kind, entry.actor) == (AuditEntry.SIGN_IN_REFUSED, EMAIL)
    assert entry.what.startswith("wrong sign-in code, from ")


def test_the_sixth_code_to_one_mailbox_and_the_eleventh_of_one_client_are_refused(
    amina, mailoutbox
):
    pages = [ask(Client(), REMOTE_ADDR=f"203.0.113.{n}") for n in range(6)]
    assert [page.status_code for page in pages] == [302] * 5 + [200]
    assert "Please wait a few seconds" in pages[-1].text
    assert len(mailoutbox) == 5
    others = [ask(Client(), f"n{n}@example.com").status_code for n in range(11)]
    assert others == [302] * 10 + [429]


def test_who_proves_an_address_by_a_code_is_rid_of_a_strangers_password(visitor, mailoutbox):
    """The stranger signed up with the address before, and could not prove it."""
    thief = User.objects.create_user(NEW, PASSWORD)
    EmailAddress.objects.create(user=thief, email=NEW, verified=False, primary=True)
    EmailAddress.objects.create(user=thief, email="thief@example.com", verified=False)
    ask(visitor, NEW)
    assert enter(visitor, mailoutbox[0])["Location"] == "/account/"
    thief.refresh_from_db()
    assert not thief.has_usable_password()
    rows = EmailAddress.objects.filter(user=thief).values_list("email", "verified")
    assert list(rows) == [(NEW, True)]
    stranger = Client()
    sign_in(stranger, NEW)
    assert "_auth_user_id" not in stranger.session


def test_an_unproved_address_of_an_account_leads_nobody_into_it(amina, visitor, mailoutbox):
    EmailAddress.objects.create(user=amina, email=NEW, verified=False)
    ask(visitor, NEW)
    assert mailoutbox == []
    assert sign_in_codes.owner_of(NEW) is None


def test_a_closed_account_stays_closed(amina, visitor, mailoutbox):
    User.objects.filter(pk=amina.pk).update(is_active=False)
    ask(visitor)
    enrollment, _ = make_pending(email=EMAIL)
    visitor.post(f"/enrollments/{enrollment.token}/sign-in/")
    assert mailoutbox == []
    assert User.objects.count() == 1


# --- in one tap -----------------------------------------------------------------------------------
@pytest.mark.every_engine
def test_a_status_page_leads_to_an_account_with_a_code_and_no_password(visitor, mailoutbox):
    enrollment, _ = make_pending(email=NEW, name="Ana")
    page = f"/enrollments/{enrollment.token}/sign-in/"
    assert "Send me the code" in visitor.get(page).text
    assert not User.objects.exists()
    answer = visitor.post(page)
    assert answer["Location"] == f"{CONFIRM}?next=/account/"
    user = User.objects.get()
    assert (user.email, user.name, user.has_usable_password()) == (NEW, "Ana", False)
    assert not EmailAddress.objects.get().verified
    enter(visitor, mailoutbox[0])
    assert EmailAddress.objects.get().verified
    assert visitor.get("/account/").status_code == 200


def test_whoever_has_only_the_link_does_not_get_in(visitor, mailoutbox):
    enrollment, _ = make_pending(email=NEW)
    visitor.post(f"/enrollments/{enrollment.token}/sign-in/")
    assert visitor.get("/account/").status_code == 302
    assert [message.to for message in mailoutbox] == [[NEW]]


def test_two_taps_make_one_account(visitor, mailoutbox):
    enrollment, _ = make_pending(email=NEW)
    for _ in range(6):
        answer = Client().post(f"/enrollments/{enrollment.token}/sign-in/")
    assert (answer.status_code, len(mailoutbox), User.objects.count()) == (429, 5, 1)


def test_who_is_signed_in_is_led_to_their_courses_or_their_addresses(amina, visitor):
    visitor.force_login(amina)
    for email, target in ((EMAIL, "/account/"), (NEW, "/accounts/email/")):
        enrollment, _ = make_pending(email=email)
        assert visitor.post(f"/enrollments/{enrollment.token}/sign-in/")["Location"] == target


# --- what a session alone may not do --------------------------------------------------------------
@pytest.mark.parametrize(
    "path",
    ["/accounts/password/set/", "/accounts/email/", "/account/data.json", "/account/delete/"],
)
def test_who_has_no_password_signs_in_by_a_code_again_before_what_matters(
    visitor, mailoutbox, path
):
    enrollment, _ = make_pending(email=NEW)
    visitor.post(f"/enrollments/{enrollment.token}/sign-in/")
    enter(visitor, mailoutbox[0])
    assert visitor.get(path).status_code == 200
    session = visitor.session
    for record in session["account_authentication_methods"]:
        record["at"] = (timezone.now() - timedelta(minutes=6)).timestamp()
    session.save()
    assert visitor.get(path)["Location"] == f"{ASK}?next={path.replace('/', '%2F')}"
    assert "_auth_user_id" not in visitor.session


# --- a form that is sent twice --------------------------------------------------------------------
def test_the_sign_in_form_sent_twice_on_a_slow_line_goes_on(amina):
    """Fault S3: the first one has signed in and changed the token of the form."""
    client = Client(enforce_csrf_checks=True)
    client.get("/accounts/login/")
    token = client.cookies["csrftoken"].value
    form = {"login": EMAIL, "password": PASSWORD, "csrfmiddlewaretoken": token}
    assert client.post("/accounts/login/?next=/account/data/", form)["Location"] == "/account/data/"
    again = client.post("/accounts/login/?next=/account/data/", form)
    assert (again.status_code, again["Location"]) == (302, "/account/data/")
    bad = client.post("/accounts/login/", {**form, "next": "https://evil.example"})
    assert (bad.status_code, bad["Location"]) == (302, "/account/")
    assert Client(enforce_csrf_checks=True).post("/accounts/login/", form).status_code == 403
    # So does every other form that signs in.
    for path in ("login/code/confirm/", "confirm-email/", "2fa/authenticate/"):
        answer = client.post(f"/accounts/{path}?next=/account/data/", form)
        assert (answer.status_code, answer["Location"]) == (302, "/account/data/"), path
    assert client.post("/accounts/email/", form).status_code == 403
