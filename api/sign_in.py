"""Sign-in for programs, by the same steps and limits as the page."""

from datetime import timedelta
from typing import Any

from allauth.account.internal.stagekit import get_pending_stage
from allauth.account.stages import EmailVerificationStage
from allauth.mfa.stages import AuthenticateStage
from django.contrib.auth import logout
from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts.forms import LoginForm
from accounts.models import User
from accounts.second_factor_forms import AuthenticateForm
from affiliates.errors import AddressNotVerified
from api.errors import SecondFactorNeeded, SignInRefused
from api.operations import operation
from api.shapes import Credentials, CsrfToken, SignedIn
from api.terms import Terms

SIGN_IN = Terms(limit="login", refusals=(SignInRefused, SecondFactorNeeded, AddressNotVerified))


@operation("GET", "auth/csrf", terms=Terms(), answers={200: CsrfToken})
def csrf_token(request: HttpRequest) -> dict[str, Any]:
    """Give a token for the header X-CSRFToken, and the cookie that belongs to it.

    Both are needed for each POST without an API key.
    """
    return {"csrf_token": get_token(request)}


@operation("POST", "auth/signin", terms=SIGN_IN, answers={200: SignedIn})
@sensitive_variables()
def sign_in(request: HttpRequest, body: Credentials) -> dict[str, Any]:
    """Sign in by e-mail and password, to a session of seven days.

    An unknown address and a wrong password have the same answer, after the same time. The CSRF
    token of before is void then; the new one is in the answer.
    """
    form = LoginForm({"login": body.email, "password": body.password}, request=request)
    if not form.is_valid():
        raise SignInRefused
    if request.user.is_authenticated:
        logout(request)  # of whoever else was signed in
    form.login(request)
    if not request.user.is_authenticated and body.code:
        _show_second_factor(request, body.code)
    if not request.user.is_authenticated:
        _refuse_unfinished(request)
    user: User = request.user  # type: ignore[assignment]
    ends = timezone.now() + timedelta(seconds=request.session.get_expiry_age())
    person = {"email": user.email, "name": user.name, "is_staff": user.is_staff}
    return {"user": person, "csrf_token": get_token(request), "expires_at": ends}


def _show_second_factor(request: HttpRequest, code: str) -> None:
    """Finish a sign-in that waits for a code, if it is the right one.

    Raises RateLimited over ten attempts.
    """
    stage = get_pending_stage(request)
    if stage is None or stage.key != AuthenticateStage.key:
        return
    form = AuthenticateForm({"code": code}, user=stage.login.user)
    if form.is_valid():
        form.save()
        stage.exit()


def _refuse_unfinished(request: HttpRequest) -> None:
    """Say which step is missing, and keep nothing of those that were taken.

    Without a session: its cookie would say that the password of a closed account is right.
    """
    stage = get_pending_stage(request)
    request.session.flush()
    if stage is None:
        raise SignInRefused
    raise AddressNotVerified if stage.key == EmailVerificationStage.key else SecondFactorNeeded
