"""allauth's pages that change a second factor, each with its entry in the change log."""

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.views import GenerateRecoveryCodesView
from allauth.mfa.totp.views import ActivateTOTPView, DeactivateTOTPView
from allauth.mfa.webauthn.views import AddWebAuthnView, RemoveWebAuthnView
from django.http import HttpRequest, HttpResponse

from accounts import audit, second_factor
from accounts.models import AuditEntry


def _note(request: HttpRequest, what: str) -> None:
    user: Any = request.user
    if user.is_staff:
        audit.record(AuditEntry.SECOND_FACTOR, what, by=user.email, about=user)


def _note_added(request: HttpRequest, kind: str, what: str) -> None:
    user: Any = request.user
    second_factor.note_used(user, kind)
    second_factor.note_shown(request, kind)
    _note(request, what)


def _note_removed(request: HttpRequest, what: str) -> None:
    """Without any factor left, the office asks for a new one in every session."""
    user: Any = request.user
    if not second_factor.has_factor(user):
        second_factor.forget_shown(user)
    _note(request, what)


class ActivateTotp(ActivateTOTPView):
    def form_valid(self, form: Any) -> HttpResponse:
        answer = super().form_valid(form)
        _note_added(self.request, Authenticator.Type.TOTP, "set up an authenticator app")
        return answer


class DeactivateTotp(DeactivateTOTPView):
    def form_valid(self, form: Any) -> HttpResponse:
        answer = super().form_valid(form)
        _note_removed(self.request, "removed the authenticator app")
        return answer


class AddPasskey(AddWebAuthnView):
    def form_valid(self, form: Any) -> HttpResponse:
        answer = super().form_valid(form)
        _note_added(self.request, Authenticator.Type.WEBAUTHN, "added a passkey")
        return answer


class RemovePasskey(RemoveWebAuthnView):
    def form_valid(self, form: Any) -> HttpResponse:
        answer = super().form_valid(form)
        _note_removed(self.request, "removed a passkey")
        return answer


class GenerateRecoveryCodes(GenerateRecoveryCodesView):
    def form_valid(self, form: Any) -> HttpResponse:
        answer = super().form_valid(form)
        _note(self.request, "made new recovery codes")
        return answer
