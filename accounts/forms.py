"""The fields that say who somebody is, and allauth's forms with our message for a bad address."""

from typing import Any, cast

from allauth.account import forms as allauth_forms
from allauth.account.adapter import get_adapter
from allauth.core import context
from django import forms
from django.contrib.auth.hashers import make_password
from django.core.validators import validate_email
from django.forms import EmailField
from django.http import HttpRequest
from django.utils.translation import gettext

from accounts import sign_in_codes
from accounts.emails import INVALID, normalize_email
from maaledu.names import ControlCharacters, clean_name, has_marks


class OurEmailMessage:
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():  # type: ignore[attr-defined]
            if isinstance(field, EmailField):
                field.error_messages["invalid"] = INVALID
                # Django's own validator would see what only `normalize_email` strips.
                own: list[Any] = [each for each in field.validators if each != validate_email]
                field.validators = [*own, cast("Any", normalize_email)]


class LoginForm(OurEmailMessage, allauth_forms.LoginForm):
    pass


class SignupForm(OurEmailMessage, allauth_forms.SignupForm):
    def try_save(self, request: HttpRequest) -> Any:
        """Take as long for an address that has an account: otherwise the time tells who has one."""
        if self.account_already_exists:
            make_password(self.cleaned_data["password1"])
        return super().try_save(request)


class AddEmailForm(OurEmailMessage, allauth_forms.AddEmailForm):
    pass


class ResetPasswordForm(OurEmailMessage, allauth_forms.ResetPasswordForm):
    pass


class RequestLoginCodeForm(OurEmailMessage, allauth_forms.RequestLoginCodeForm):
    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        if not sign_in_codes.count(context.request, email):
            raise get_adapter().validation_error("too_many_login_attempts")
        self._user = sign_in_codes.owner_of(email)
        return email


MAX_NAME_LENGTH = 140


def read_name(text: str) -> str:
    """Return a name as it is kept (`maaledu.names`). Raises ValidationError."""
    try:
        return clean_name(text)
    except ControlCharacters as error:
        raise forms.ValidationError(
            gettext("Enter a name without control characters."), code="invalid"
        ) from error


class PersonForm(forms.Form):
    """A form that asks for an address, kept in its normal form, and a name, kept on one line."""

    def clean_email(self) -> str:
        return normalize_email(self.cleaned_data["email"])

    def clean_name(self) -> str:
        typed = self.cleaned_data["name"]
        name = read_name(typed)
        if has_marks(typed):
            self._show_instead(name)
        # Composed, a few letters of India are two characters.
        for validate in self.fields["name"].validators:
            validate(name)
        if self.fields["name"].required and not name:
            raise forms.ValidationError(self.fields["name"].error_messages["required"])
        return name

    def _show_instead(self, name: str) -> None:
        """Put the name as it is kept into the form that is shown again, and say what was done."""
        self.data = {**dict(self.data.items()), "name": name}
        self["name"].help_text = gettext("We left out characters that cannot be seen.")
