"""Our rules for allauth's pages: normal form of addresses, limits, redirects, and messages."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse

from accounts import known_browsers
from accounts.emails import normalize_email
from accounts.models import User
from maaledu.addresses import client_address, is_own_path
from maaledu.http import site_facts
from maaledu.limits import enforce_limit


class AccountAdapter(DefaultAccountAdapter):
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "account_inactive": "This account is closed.",
        "duplicate_email": "This address is in your account already.",
        "email_password_mismatch": "The e-mail address or the password is not right.",
        "email_taken": "This e-mail address belongs to another account.",
        "enter_current_password": "This is not your current password.",
        "incorrect_code": "This is not the code we sent.",
        "incorrect_password": "This is not your password.",
        "invalid_password_reset": (
            "This has been used, or it is too old. Please ask for a new code."
        ),
        "max_email_addresses": "An account has at most %d e-mail addresses.",
        "rate_limited": "Please wait a few seconds and try again.",
        # Also shown to somebody whose password is right, but whose last code was sent a moment ago.
        "too_many_login_attempts": "Please wait a few seconds and try again.",
        "unknown_email": "There is no account with this e-mail address.",
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
        return response

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        super().send_mail(template_prefix, email, {**context, "site": site_facts()})


def _normal_or_as_typed(email: str) -> str:
    try:
        return normalize_email(email)
    except ValidationError:
        return email.strip().lower()
