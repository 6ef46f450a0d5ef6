"""Who somebody is, on every form; and allauth's forms in our words for an address that cannot be
one.
"""

from typing import Any

from allauth.account import forms as allauth_forms
from django import forms
from django.forms import EmailField

from accounts.emails import INVALID, normalize_email


class OurWords:
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():  # type: ignore[attr-defined]
            if isinstance(field, EmailField):
                field.error_messages["invalid"] = INVALID


class LoginForm(OurWords, allauth_forms.LoginForm):
    pass


class SignupForm(OurWords, allauth_forms.SignupForm):
    pass


class AddEmailForm(OurWords, allauth_forms.AddEmailForm):
    pass


class ResetPasswordForm(OurWords, allauth_forms.ResetPasswordForm):
    pass


MAX_NAME_LENGTH = 140


class PersonForm(forms.Form):
    """Who somebody is: the address in its normal form, the name on one line, wherever a form asks
    for them.
    """

    def clean_email(self) -> str:
        return normalize_email(self.cleaned_data["email"])

    def clean_name(self) -> str:
        name = " ".join(self.cleaned_data["name"].split())
        if not name.isprintable():
            raise forms.ValidationError("Enter a name without control characters.", code="invalid")
        return name
