"""allauth's forms, in our words for an address that cannot be one; its other sentences are the adapter's."""

from typing import Any

from allauth.account import forms
from django.forms import EmailField

from accounts.emails import INVALID


class OurWords:
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():  # type: ignore[attr-defined]
            if isinstance(field, EmailField):
                field.error_messages["invalid"] = INVALID


class LoginForm(OurWords, forms.LoginForm):
    pass


class SignupForm(OurWords, forms.SignupForm):
    pass


class AddEmailForm(OurWords, forms.AddEmailForm):
    pass


class ResetPasswordForm(OurWords, forms.ResetPasswordForm):
    pass
