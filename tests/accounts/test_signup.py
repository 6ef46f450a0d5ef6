import pytest
from allauth.account.models import EmailAddress
from django.test import Client

from accounts.models import User
from maaledu import settings as product
from notifications.models import Email
from tests.accounts.conftest import EMAIL, PASSWORD, code_in, sign_in

pytestmark = pytest.mark.any_engine

CONFIRM = "/accounts/confirm-email/"


def sign_up(visitor: Client, email: str, password: str = PASSWORD):
    return visitor.post("/accounts/signup/", {"email": email, "password1": password})


def test_an_account_is_usable_once_its_address_is_verified(visitor, mailoutbox):
    assert sign_up(visitor, " New.Learner@Example.COM ")["Location"] == CONFIRM
    assert "_auth_user_id" not in visitor.session
    [message] = mailoutbox
    assert message.to == ["new.learner@example.com"]
    assert visitor.post(CONFIRM, {"code": code_in(message)}).status_code == 302
    user = User.objects.get(email="new.learner@example.com")
    assert user.has_verified_email
    assert visitor.session["_auth_user_id"] == str(user.pk)


def test_the_message_names_the_shop_and_its_own_address(visitor, mailoutbox, settings):
    sign_up(visitor, "new@example.com")
    [message] = mailoutbox
    assert settings.SITE_NAME in message.body
    assert "testserver" not in message.body.replace(settings.SITE_URL, "")


def test_the_page_is_in_our_look_and_names_the_shop(visitor, settings):
    for path in ("/accounts/login/", "/accounts/signup/", "/accounts/password/reset/"):
        page = visitor.get(path).content.decode()
        assert f"<span>{settings.SITE_NAME}</span>" in page
        assert settings.SUPPORT_EMAIL in page


def test_a_wrong_code_verifies_nothing_and_three_of_them_end_the_attempt(visitor, mailoutbox):
    sign_up(visitor, "new@example.com")
    code = code_in(mailoutbox[0])
    for _ in range(3):
        visitor.post(CONFIRM, {"code": "AAAA-AAAA"})
    visitor.post(CONFIRM, {"code": code})
    assert not EmailAddress.objects.filter(email="new@example.com", verified=True).exists()
    assert "_auth_user_id" not in visitor.session


def ask_again(visitor: Client):
    return visitor.post(CONFIRM, {"action": "resend"})


def test_a_new_code_can_be_asked_for_and_takes_the_place_of_the_old_one(visitor, mailoutbox):
    sign_up(visitor, "new@example.com")
    first = visitor.get(CONFIRM).text
    assert ("Send a new code" in first, first.count("We have sent a code to")) == (True, 1)
    assert ask_again(visitor)["Location"] == CONFIRM
    assert "A new code is on its way" in visitor.get(CONFIRM).text
    old, new = map(code_in, mailoutbox)
    assert old != new
    assert visitor.post(CONFIRM, {"code": old}).status_code == 200
    assert visitor.post(CONFIRM, {"code": new}).status_code == 302
    assert User.objects.get().has_verified_email


def test_new_codes_are_few_and_that_tells_nobody_whether_an_address_is_known(amina, mailoutbox):
    pages = {}
    for email in (EMAIL, "other@example.com"):
        visitor = Client()
        sign_up(visitor, email)
        pages[email] = []
        for _ in range(3):
            answer = ask_again(visitor)
            page = visitor.get(CONFIRM).content.decode().replace(email, "")
            pages[email].append(
                (answer.status_code, answer.get("Location"), len(page), "Send a new code" in page)
            )
    assert pages[EMAIL] == pages["other@example.com"]
    assert [offered for *_rest, offered in pages[EMAIL]] == [True, False, False]
    assert [message.to for message in mailoutbox] == [[EMAIL], *[["other@example.com"]] * 3]


def test_page_and_message_say_how_long_a_code_works(visitor, mailoutbox):
    minutes = product.ACCOUNT_EMAIL_VERIFICATION_BY_CODE_TIMEOUT // 60
    sign_up(visitor, "new@example.com")
    sentence = f"Codes work for {minutes} minutes"
    assert [sentence in visitor.get(CONFIRM).content.decode(), sentence in mailoutbox[0].body] == [
        True,
        True,
    ]


@pytest.mark.every_engine
def test_a_code_works_only_in_the_session_that_asked_for_it(visitor, mailoutbox):
    sign_up(visitor, "new@example.com")
    stranger = Client()
    stranger.post(CONFIRM, {"code": code_in(mailoutbox[0])})
    assert not EmailAddress.objects.filter(verified=True).exists()


@pytest.mark.every_engine
def test_a_code_is_spent_by_its_use(visitor, mailoutbox):
    sign_up(visitor, "new@example.com")
    code = code_in(mailoutbox[0])
    visitor.post(CONFIRM, {"code": code})
    visitor.post("/accounts/logout/")
    assert visitor.post(CONFIRM, {"code": code}).status_code == 302
    assert "_auth_user_id" not in visitor.session


@pytest.mark.every_engine
def test_signing_up_with_a_known_address_looks_the_same_and_tells_its_owner(
    amina, visitor, mailoutbox
):
    known, unknown = sign_up(visitor, EMAIL), sign_up(Client(), "unknown@example.com")
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
    assert known.content == unknown.content
    assert User.objects.filter(email=EMAIL).count() == 1
    to_owner, to_new = mailoutbox
    assert to_owner.to == [EMAIL]
    assert to_owner.subject != to_new.subject
    amina.refresh_from_db()
    assert amina.check_password(PASSWORD)


def test_the_next_page_looks_the_same_too(amina, visitor, mailoutbox):
    other = Client()
    sign_up(visitor, EMAIL)
    sign_up(other, "other@example.com")
    pages = [client.get(CONFIRM).content.decode() for client in (visitor, other)]
    assert [EMAIL in pages[0], "other@example.com" in pages[1]] == [True, True]
    assert len(pages[0].replace(EMAIL, "")) == len(pages[1].replace("other@example.com", ""))


@pytest.mark.parametrize(
    "email",
    [
        "",
        "plain",
        "@example.com",
        "a@",
        "a@b",
        "a b@example.com",
        "a@b@example.com",
        "a@example.com\r\nBcc: x@y.example",
        "a@exa\x00mple.com",
        "a" * 400 + "@example.com",
        "a@" + "b" * 300 + ".com",
        '"<script>"@x.example',
        "a@-example.com",
        "a@example..com",
        ".a@example.com",
    ],
)
def test_an_address_that_cannot_be_one_is_refused_by_the_form(visitor, mailoutbox, email):
    answer = sign_up(visitor, email)
    assert answer.status_code == 200
    assert User.objects.count() == 0
    assert mailoutbox == []


@pytest.mark.parametrize(
    "password", ["", "short", "password12", "12345678901", "amina@example.com"]
)
def test_a_weak_password_is_refused(visitor, mailoutbox, password):
    assert sign_up(visitor, EMAIL, password).status_code == 200
    assert User.objects.count() == 0


def test_nobody_makes_himself_staff(visitor, mailoutbox):
    form = {
        "email": "new@example.com",
        "password1": PASSWORD,
        "is_staff": "on",
        "is_superuser": "on",
        "is_active": "on",
        "id": "1",
    }
    visitor.post("/accounts/signup/", form)
    user = User.objects.get()
    assert (user.is_staff, user.is_superuser) == (False, False)


def test_signing_up_is_limited(visitor, mailoutbox, settings):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "signup": "2/1h"}
    statuses = [sign_up(Client(), f"new{number}@example.com").status_code for number in range(3)]
    assert statuses == [302, 302, 429]
    assert User.objects.count() == 2


def test_a_message_waits_in_the_outbox_so_that_signing_up_waits_for_no_mail_server(
    visitor, settings
):

    settings.EMAIL_BACKEND = "notifications.backend.OutboxBackend"
    assert sign_up(visitor, "new@example.com").status_code == 302
    [email] = Email.objects.all()
    assert (email.to, email.status) == ("new@example.com", "pending")


def test_passwords_are_kept_as_argon2(settings):
    assert product.PASSWORD_HASHERS[0] == "django.contrib.auth.hashers.Argon2PasswordHasher"
    settings.PASSWORD_HASHERS = product.PASSWORD_HASHERS
    user = User(email=EMAIL)
    user.set_password(PASSWORD)
    assert user.password.startswith("argon2$argon2id$")
    assert PASSWORD not in user.password


def add_address(visitor: Client, email: str, password: str = PASSWORD):
    visitor.post("/accounts/email/", {"action_add": "", "email": email})
    return visitor.post(
        "/accounts/reauthenticate/", {"password": password, "next": "/accounts/email/"}
    )


@pytest.mark.every_engine
def test_a_second_address_counts_once_it_is_verified(amina, visitor, mailoutbox):
    sign_in(visitor)
    add_address(visitor, "Second@Example.com")
    assert not EmailAddress.objects.filter(email="second@example.com", verified=True).exists()
    visitor.post(CONFIRM, {"code": code_in(mailoutbox[0])})
    assert EmailAddress.objects.get(email="second@example.com").verified
    amina.refresh_from_db()
    assert amina.email == EMAIL


@pytest.mark.every_engine
def test_a_sole_confirmed_address_is_shown_without_buttons_that_lead_nowhere(amina, visitor):
    visitor.force_login(amina)
    buttons = ("action_primary", "action_send", "action_remove")
    assert not any(name in visitor.get("/accounts/email/").content.decode() for name in buttons)
    EmailAddress.objects.create(user=amina, email="second@example.com")
    assert all(name in visitor.get("/accounts/email/").content.decode() for name in buttons)
    EmailAddress.objects.filter(email="second@example.com").update(verified=True)
    page = visitor.get("/accounts/email/").content.decode()
    assert [name in page for name in buttons] == [True, False, True]


def test_a_stolen_session_adds_no_address(amina, visitor, mailoutbox):
    sign_in(visitor)
    add_address(visitor, "thief@example.com", "wrong-password")
    assert mailoutbox == []
    assert not EmailAddress.objects.filter(email="thief@example.com").exists()


@pytest.mark.every_engine
def test_anothers_verified_address_stays_theirs_even_with_the_code(amina, visitor, mailoutbox):
    visitor.force_login(User.objects.create_superuser("other@example.com", PASSWORD))
    add_address(visitor, EMAIL)
    [message] = mailoutbox
    assert message.to == [EMAIL]
    assert visitor.post(CONFIRM, {"code": code_in(message)}).status_code == 200
    assert list(
        EmailAddress.objects.filter(email=EMAIL, verified=True).values_list("user", flat=True)
    ) == [amina.pk]
