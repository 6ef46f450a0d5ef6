"""Our rules for allauth's pages: normal form of addresses, limits, redirects, and messages."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.core import context
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from accounts import audit, known_browsers, second_factor
from accounts.emails import normalize_email
from accounts.models import User
from maaledu.addresses import client_address, is_own_path
from maaledu.http import site_facts
from maaledu.limits import enforce_limit

# What allauth calls a way to prove who one is, in plain words.
WAYS = {
    "totp": "authenticator app",
    "webauthn": "passkey",
    "recovery_codes": "recovery code",
}


class AccountAdapter(DefaultAccountAdapter):
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "account_inactive": _("This account is closed."),
        "duplicate_email": _("This address is in your account already."),
        "email_password_mismatch": _("The e-mail address or the password is not right."),
        "email_taken": _("This e-mail address belongs to another account."),
        "enter_current_password": _("This is not your current password."),
        "incorrect_code": _("This is not the code we sent."),
        "incorrect_password": _("This is not your password."),
        "invalid_password_reset": (
            _("This has been used, or it is too old. Please ask for a new code.")
        ),
        "max_email_addresses": _("An account has at most %d e-mail addresses."),
        "rate_limited": _("Please wait a few seconds and try again."),
        # Also shown to somebody whose password is right, but whose last code was sent a moment ago.
        "too_many_login_attempts": _("Please wait a few seconds and try again."),
        "unknown_email": _("There is no account with this e-mail address."),
    }

    def clean_email(self, email: str) -> str:
        return normalize_email(email)

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request)

    def is_safe_url(self, url: str | None) -> bool:
        return is_own_path(url or "")

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        """Check a password under the address's normal form, however it was typed."""
        return super().authenticate(
            request, **{**credentials, "email": _normal_or_as_typed(credentials.get("email", ""))}
        )

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count the attempt against the account, known or not, from whatever network address; in a
        browser that has signed in to it before, against that browser.

        Raises RateLimited.
        """
        key = known_browsers.limit_key(request, credentials["email"])
        enforce_limit(request, "login_account", key)

    def post_login(self, request: HttpRequest, user: Any, **kwargs: Any) -> HttpResponse:
        response = super().post_login(request, user, **kwargs)
        known_browsers.remember(request, response, user.email)
        audit.record_sign_in(request, user, f"signed in with {_ways(request, user)}")
        return response

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        email = _normal_or_as_typed(credentials.get("email", ""))
        if user := User.objects.filter(email=email, is_staff=True).first():
            audit.record_sign_in(request, user, "wrong password", refused=True)

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Whoever has just signed in, and has no second factor yet, sets one up at once."""
        is_required = super().is_reauthentication_required(app=app, **kwargs)
        return is_required and not (
            app == "allauth.mfa" and second_factor.is_first(context.request)
        )

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        super().send_mail(template_prefix, email, {**context, "site": site_facts()})


def _ways(request: HttpRequest, user: User) -> str:
    """Return how somebody has proved who they are: `password and authenticator app`."""
    records = get_authentication_records(request, user)
    names = [WAYS.get(each.get("type") or each["method"], each["method"]) for each in records]
    return " and ".join(dict.fromkeys(names)) or "a confirmed address"


def _normal_or_as_typed(email: str) -> str:
    try:
        return normalize_email(email)
    except ValidationError:
        return email.strip().lower()
