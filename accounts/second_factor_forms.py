"""allauth's forms for codes, with our limit and each code good for once."""

from typing import Any

from allauth.core import context
from allauth.mfa.base import forms as allauth_forms
from allauth.mfa.models import Authenticator
from allauth.mfa.totp import forms as totp_forms
from allauth.mfa.webauthn import forms as webauthn_forms
from django.core.exceptions import ValidationError

from accounts import audit, second_factor
from accounts.models import User
from accounts.second_factor_adapter import SecondFactorAdapter
from maaledu.limits import enforce_limit

WRONG = "wrong second factor"


def count_attempt(user: User) -> None:
    """Count one attempt at somebody's second factor. Raises RateLimited."""
    enforce_limit(context.request, "second_factor", str(user.pk))


class CodeForm:
    """A code of an authenticator app, or a recovery code."""

    user: Any
    cleaned_data: dict[str, Any]
    authenticator: Authenticator

    def clean_code(self) -> str:
        count_attempt(self.user)
        code: str = self.cleaned_data["code"]
        factor = second_factor.use_code(self.user, code)
        if factor is None:
            audit.record_sign_in(context.request, self.user, WRONG, refused=True)
            raise SecondFactorAdapter().validation_error("incorrect_code")
        factor.user = self.user
        self.authenticator = factor
        return code


class AuthenticateForm(CodeForm, allauth_forms.AuthenticateForm):
    pass


class ReauthenticateForm(CodeForm, allauth_forms.ReauthenticateForm):
    pass


class ActivateTotpForm(totp_forms.ActivateTOTPForm):
    def clean_code(self) -> str:
        count_attempt(self.user)
        return super().clean_code()


class PasskeyForm:
    """What a passkey has signed."""

    user: Any

    def clean_credential(self) -> Authenticator:
        count_attempt(self.user)
        try:
            return super().clean_credential()  # type: ignore[misc]
        except ValidationError:
            audit.record_sign_in(context.request, self.user, WRONG, refused=True)
            raise


class AuthenticatePasskeyForm(PasskeyForm, webauthn_forms.AuthenticateWebAuthnForm):
    pass


class ReauthenticatePasskeyForm(PasskeyForm, webauthn_forms.ReauthenticateWebAuthnForm):
    pass
