import pytest
from django.test import Client

from accounts.models import User
from tests.accounts.conftest import EMAIL, PASSWORD, code_in, sign_in

pytestmark = pytest.mark.any_engine

RESET, CONFIRM, COMPLETE = (
    "/accounts/password/reset/",
    "/accounts/password/reset/confirm/",
    "/accounts/password/reset/complete/",
)
NEW = "eleven-loud-mountains"


def ask_for_code(visitor: Client, email: str = EMAIL, **extra):
    return visitor.post(RESET, {"email": email}, **extra)


def test_a_code_lets_its_owner_choose_a_new_password(amina, visitor, mailoutbox):
    elsewhere = Client()
    sign_in(elsewhere)
    assert ask_for_code(visitor)["Location"] == CONFIRM
    assert visitor.post(CONFIRM, {"code": code_in(mailoutbox[0])})["Location"] == COMPLETE
    visitor.post(COMPLETE, {"password1": NEW, "password2": NEW})
    amina.refresh_from_db()
    assert amina.check_password(NEW)
    assert elsewhere.get("/account/").status_code == 302


def test_known_and_unknown_addresses_are_answered_alike_and_only_the_known_gets_mail(
    amina, mailoutbox
):
    known, unknown = Client(), Client()
    answers = [ask_for_code(known), ask_for_code(unknown, "nobody@example.com")]
    assert {(answer.status_code, answer["Location"], answer.content) for answer in answers} == {
        (302, CONFIRM, b"")
    }
    assert [message.to for message in mailoutbox] == [[EMAIL]]
    pages = [known.get(CONFIRM).content.decode(), unknown.get(CONFIRM).content.decode()]
    assert len(pages[0].replace(EMAIL, "")) == len(pages[1].replace("nobody@example.com", ""))


def test_a_guessed_code_changes_nothing_and_three_guesses_end_the_attempt(
    amina, visitor, mailoutbox
):
    ask_for_code(visitor)
    for _ in range(3):
        visitor.post(CONFIRM, {"code": "AAAA-AAAA"})
    answer = visitor.post(CONFIRM, {"code": code_in(mailoutbox[0])})
    assert answer.get("Location") != COMPLETE
    amina.refresh_from_db()
    assert amina.check_password(PASSWORD)


def test_a_code_is_of_no_use_to_another_session(amina, visitor, mailoutbox):
    ask_for_code(visitor)
    stranger = Client()
    ask_for_code(stranger, "nobody@example.com")
    assert stranger.post(CONFIRM, {"code": code_in(mailoutbox[0])}).get("Location") != COMPLETE


def test_a_new_password_cannot_be_set_without_the_code(amina, visitor, mailoutbox):
    ask_for_code(visitor)
    visitor.post(COMPLETE, {"password1": NEW, "password2": NEW})
    amina.refresh_from_db()
    assert amina.check_password(PASSWORD)


def test_a_code_works_once(amina, visitor, mailoutbox):
    ask_for_code(visitor)
    code = code_in(mailoutbox[0])
    visitor.post(CONFIRM, {"code": code})
    visitor.post(COMPLETE, {"password1": NEW, "password2": NEW})
    visitor.post("/accounts/logout/")
    visitor.post(CONFIRM, {"code": code})
    visitor.post(COMPLETE, {"password1": "another-password-9", "password2": "another-password-9"})
    amina.refresh_from_db()
    assert amina.check_password(NEW)


def test_the_message_carries_our_own_address_whatever_the_request_says(
    amina, visitor, mailoutbox, settings
):
    settings.ALLOWED_HOSTS = ["testserver"]
    assert ask_for_code(visitor, headers={"host": "evil.example"}).status_code == 400
    assert ask_for_code(visitor, headers={"x-forwarded-host": "evil.example"}).status_code == 302
    [message] = mailoutbox
    assert "evil.example" not in message.body + message.subject + "".join(
        content for content, _kind in message.alternatives
    )


def test_a_mailbox_is_not_flooded_and_that_tells_nobody_whether_it_is_known(amina, mailoutbox):
    statuses = {EMAIL: [], "nobody@example.com": []}
    for email, answers in statuses.items():
        for number in range(8):
            answers.append(
                ask_for_code(Client(), email, REMOTE_ADDR=f"203.0.113.{number}").status_code
            )
    assert statuses[EMAIL] == statuses["nobody@example.com"] == [302] * 5 + [429] * 3
    assert [message.to for message in mailoutbox] == [[EMAIL]] * 5


def test_asking_is_limited_by_address(visitor, mailoutbox):
    statuses = [
        ask_for_code(Client(), f"nobody{number}@example.com").status_code for number in range(11)
    ]
    assert statuses == [302] * 10 + [429]


def test_guessing_codes_is_limited_by_address(amina, visitor, mailoutbox, settings):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "code": "2/15m"}
    ask_for_code(visitor)
    statuses = [visitor.post(CONFIRM, {"code": "AAAA-AAAA"}).status_code for _ in range(3)]
    assert statuses[-1] == 429


@pytest.mark.parametrize(
    "email",
    [
        "",
        "plain",
        "a@b@c.example",
        EMAIL + "\r\nBcc: x@y.example",
        EMAIL + ",x@y.example",
        "a" * 500,
    ],
)
def test_an_odd_address_gets_no_mail(amina, visitor, mailoutbox, email):
    assert ask_for_code(visitor, email).status_code == 200
    assert mailoutbox == []
    assert User.objects.get().check_password(PASSWORD)
