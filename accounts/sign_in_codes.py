"""Signing in by a code alone: whose account an address is, and a code that only its mailbox gets.

An address that nobody has proved may have been typed by a stranger, with a password of theirs. So
whoever proves it by a code gets the account without that password and without the stranger's other
addresses; and an unproved address of somebody else's account leads nobody into that account.
"""

import functools
import time
from collections.abc import Callable
from typing import Any, cast

from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.login_by_code import LoginCodeVerificationProcess
from allauth.account.models import EmailAddress
from allauth.core import ratelimit
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext

from accounts import known_browsers
from accounts.models import User
from maaledu.db import atomic, is_duplicate
from maaledu.errors import RateLimited

View = Callable[..., HttpResponseBase]


def owner_of(email: str) -> User | None:
    """Return whose address this is (in its normal form): proved, or the one they signed up with."""
    proved = EmailAddress.objects.filter(email=email, verified=True).select_related("user").first()
    owner = cast("User", proved.user) if proved else User.objects.filter(email=email).first()
    return owner if owner and owner.is_active else None


def ensure_account(email: str, *, name: str = "") -> User | None:
    """Return the account of this address, made without a password where there is none.

    None for a closed one, which stays closed.
    """
    if EmailAddress.objects.filter(email=email, verified=True).exists():
        return owner_of(email)
    try:
        return owner_of(email) or _make(email, name)
    except IntegrityError as error:
        if not is_duplicate(error):
            raise
        return owner_of(email)  # it is there: closed, or made by another request a moment ago


@atomic
def _make(email: str, name: str) -> User:
    user = User.objects.create_user(email, None, name=name)
    EmailAddress.objects.create(user=user, email=email, verified=False, primary=True)
    return user


def send(request: HttpRequest, email: str, user: User | None) -> None:
    """Send a code to the mailbox, and let this browser enter it.

    Without a user it looks the same and nothing is sent. Raises RateLimited.
    """
    if not count(request, email):
        raise RateLimited
    LoginCodeVerificationProcess.initiate(request=request, user=user, email=email)


def count(request: HttpRequest, email: str) -> bool:
    """Count one code to the mailbox, and return whether it may be sent.

    In a browser that has signed in to the account before, those that are asked for there alone:
    strangers who ask for many keep nobody out.
    """
    key = known_browsers.limit_key(request, email)
    return bool(ratelimit.consume(request, action="request_login_code", key=key))


def forget_unproved(user: User, *, email: str) -> None:
    """Take away what was set before an address of the account, this one, is proved at all."""
    if EmailAddress.objects.filter(user=user, verified=True).exists():
        return
    EmailAddress.objects.filter(user=user).exclude(email=email).delete()
    user.set_unusable_password()
    user.save(update_fields=["password"])


def in_person(view: View) -> View:
    """Ask who has no password to sign in by a code again, unless they did a moment ago.

    allauth asks for the password before such a page, and lets through who has none.
    """

    @functools.wraps(view)
    def asked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not needs_code(request):
            return view(request, *args, **kwargs)
        logout(request)
        messages.info(
            request, gettext("Please sign in by a code once more: this page wants to be sure.")
        )
        query = urlencode({"next": request.path})
        return redirect(f"{reverse('account_request_login_code')}?{query}")

    return asked


def needs_code(request: HttpRequest) -> bool:
    user = request.user
    if not user.is_authenticated or user.has_usable_password():
        return False
    records = get_authentication_records(request, user)
    latest = records[-1]["at"] if records else 0
    return time.time() - latest > settings.ACCOUNT_REAUTHENTICATION_TIMEOUT
