from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from maaledu.vault import seal, unseal


class SecondFactorAdapter(DefaultMFAAdapter):
    """Our words, and secrets that are sealed at rest, as payees' accounts are."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "cannot_generate_recovery_codes": _("Set up an authenticator app or a passkey first."),
        "incorrect_code": _("This code is not right, or it was used already."),
        "unverified_email": _("Please confirm your e-mail addresses first."),
    }

    def get_totp_issuer(self) -> str:
        return settings.SITE_NAME

    def encrypt(self, text: str) -> str:
        return seal({"secret": text})

    def decrypt(self, encrypted_text: str) -> str:
        return str(unseal(encrypted_text)["secret"])

    def generate_authenticator_name(self, user: User, type: str) -> str:  # noqa: A002 allauth's
        return gettext("My passkey")
