import pytest
from django.core.exceptions import ValidationError

from accounts.emails import MAX_EMAIL_LENGTH, normalize_email
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
        "a@c.example\u200b",
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
