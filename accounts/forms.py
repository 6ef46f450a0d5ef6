"""The fields that say who somebody is, and allauth's forms with our message for a bad address."""

from typing import Any

from allauth.account import forms as allauth_forms
from django import forms
from django.forms import EmailField

from accounts.emails import INVALID, normalize_email


class OurEmailMessage:
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():  # type: ignore[attr-defined]
            if isinstance(field, EmailField):
                field.error_messages["invalid"] = INVALID


class LoginForm(OurEmailMessage, allauth_forms.LoginForm):
    pass


class SignupForm(OurEmailMessage, allauth_forms.SignupForm):
    pass


class AddEmailForm(OurEmailMessage, allauth_forms.AddEmailForm):
    pass


class ResetPasswordForm(OurEmailMessage, allauth_forms.ResetPasswordForm):
    pass


MAX_NAME_LENGTH = 140


class PersonForm(forms.Form):
    """A form that asks for an address, kept in its normal form, and a name, kept on one line."""

    def clean_email(self) -> str:
        return normalize_email(self.cleaned_data["email"])

    def clean_name(self) -> str:
        name = " ".join(self.cleaned_data["name"].split())
        if not name.isprintable():
            raise forms.ValidationError("Enter a name without control characters.", code="invalid")
        return name
