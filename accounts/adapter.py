"""Where allauth meets our rules: one spelling of an address, one idea of who is asking, no way off this site."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from accounts.emails import normalize_email
from accounts.models import User
from maaledu.addresses import client_address, is_own_path
from maaledu.http import enforce_limit, site_facts


class AccountAdapter(DefaultAccountAdapter):
    def clean_email(self, email: str) -> str:
        return normalize_email(email)

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request)

    def is_safe_url(self, url: str | None) -> bool:
        return is_own_path(url or "")

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        """Check a password under the address's normal form, however it was typed."""
        return super().authenticate(request, **{**credentials, "email": _spelled(credentials.get("email", ""))})

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count the attempt against the account, known or not, whatever address it comes from. Raises RateLimited."""
        enforce_limit(request, "login_account", credentials["email"])

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        super().send_mail(template_prefix, email, {**context, "site": site_facts()})


def _spelled(email: str) -> str:
    try:
        return normalize_email(email)
    except ValidationError:
        return email.strip().lower()
