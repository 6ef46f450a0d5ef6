import pytest
from django.core.exceptions import ValidationError

from accounts.emails import MAX_EMAIL_LENGTH, OTHER_AT_SIGN, normalize_email
from accounts.models import User

pytestmark = pytest.mark.any_engine


@pytest.mark.parametrize(
    ("typed", "normal"),
    [
        (" Amina@Example.COM\n", "amina@example.com"),
        ("a+b.c@example.com", "a+b.c@example.com"),
        ("leila@Bücher.example", "leila@xn--bcher-kva.example"),
        ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
        ("o'hara@example.com", "o'hara@example.com"),
        ("a@EXAMPLE.com", "a@example.com"),
        ("\u200ba@c.example\ufeff", "a@c.example"),
        ("\ufeff \u200b\ta@c.example \u200b\n\u2060", "a@c.example"),
        ("\u200ea@c.example\u200f", "a@c.example"),
    ],
)
def test_an_address_has_one_spelling(typed, normal):
    assert normalize_email(typed) == normal
    assert normalize_email(normal) == normal


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "a",
        "a@",
        "@a.example",
        "a@b",
        "a@b@c.example",
        "a b@c.example",
        "a@b c.example",
        "a@c.example\r\nBcc: x@y.example",
        "a\x00@c.example",
        "a@c\x00.example",
        "a@c.example,d@e.example",
        "a@c.example;",
        "<a@c.example>",
        "leïla@c.example",
        "Name <a@c.example>",
        "a@.example",
        "a@c..example",
        ".a@c.example",
        "a.@c.example",
        "a@-c.example",
        "a@c-.example",
        '"<script>"@x',
        "a\u202e@c.example",
        "a\u200b@c.example",
        "a@c\ufeff.example",
        "\u200b",
        "\ud800@c.example",
        "a" * (MAX_EMAIL_LENGTH + 1) + "@c.example",
        "a@" + "c" * 70 + ".example",
        "user@localhost",
        "user@LOCALHOST",
        "user@10.0.0.10",
        "user@example.123",
        "user@[127.0.0.1]",
        "mıke@c.example",
        "ſam@c.example",
        "\N{KELVIN SIGN}\u0131@c.example",
        "a" * 65 + "@c.example",
    ],
)
def test_what_is_not_one_address_is_refused(typed):
    with pytest.raises(ValidationError):
        normalize_email(typed)


@pytest.mark.parametrize("around", ["Ada <{}>", "<{}>", "mailto:{}", '"A, B" <{}>', "“{}”", "({})"])
def test_an_address_with_its_name_is_asked_for_alone(around):
    with pytest.raises(ValidationError, match="the address alone"):
        normalize_email(around.format("ada@c.example"))


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("ada@c.example.", "the address alone"),
        ("ada@c.example,", "the address alone"),
        ("ada @c.example", "without spaces"),
        ("ada@c.\u00a0example", "without spaces"),
    ],
)
def test_what_a_sentence_or_a_keyboard_adds_is_named(typed, says):
    with pytest.raises(ValidationError, match=says):
        normalize_email(typed)


@pytest.mark.parametrize("sign", ["＠", "﹫"])
def test_another_character_in_place_of_the_at_sign_is_named(sign):
    with pytest.raises(ValidationError, match="with an ordinary @"):
        normalize_email(f" a{sign}c.example")


@pytest.mark.parametrize(
    ("page", "field"),
    [
        ("/accounts/signup/", "email"),
        ("/accounts/login/", "login"),
        ("/accounts/password/reset/", "email"),
    ],
)
def test_the_forms_of_accounts_take_what_was_copied_and_name_the_wrong_at_sign(
    client, db, page, field
):
    errors = client.post(page, {field: "a＠c.example"}).context["form"].errors
    assert errors[field] == [OTHER_AT_SIGN]
    copied = client.post(page, {field: "\u200ba@c.example\ufeff"})
    assert copied.context is None or field not in copied.context["form"].errors


def test_a_user_is_stored_under_the_normal_spelling_and_once(db):
    user = User.objects.create_user(" Amina@Example.COM ", "nine-quiet-rivers")
    assert (user.email, User.objects.get_by_natural_key("AMINA@example.com")) == (
        "amina@example.com",
        user,
    )


def test_a_superuser_counts_as_verified_and_anybody_else_does_not(db):
    assert User.objects.create_superuser("boss@example.com", "nine-quiet-rivers").has_verified_email
    assert not User.objects.create_user("new@example.com", "nine-quiet-rivers").has_verified_email


def test_only_the_very_address_counts_as_verified(db):
    user = User.objects.create_user("new@example.com", "nine-quiet-rivers")
    user.emailaddress_set.create(email="other@example.com", verified=True)
    assert not user.has_verified_email
