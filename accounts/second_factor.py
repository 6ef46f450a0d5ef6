"""The second factor: who needs it for the office, and that each code works once.

allauth keeps the factors and asks for them at sign-in. Its own memory of used codes is the cache,
which each process may have for itself and which forgets: here the row says it, by one guarded
UPDATE, so that of two attempts with one code one succeeds, on every engine.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from allauth.account import app_settings as account_settings
from allauth.account.internal.flows.login import get_authentication_records, record_authentication
from allauth.mfa import app_settings
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from allauth.mfa.utils import decrypt
from django.conf import settings
from django.core.mail import send_mail
from django.db.models import Model, Q
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext, ngettext, override

from accounts.errors import NoSecondFactor
from accounts.models import User
from maaledu.db import atomic
from maaledu.http import site_facts
from maaledu.language import OFFICE, in_shop_language
from maaledu.vault import CannotOpen, is_sealed_with_first_key, seal, unseal

TOTP, PASSKEY = Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN
RECOVERY_CODES = Authenticator.Type.RECOVERY_CODES
FACTORS = (TOTP, PASSKEY)
# Where allauth keeps the secret of each kind, sealed by `accounts.second_factor_adapter`.
SECRETS = {TOTP: "secret", RECOVERY_CODES: "seed"}
METHOD = "mfa"


# --- who needs it ---------------------------------------------------------------------------------
def may_enter_office(request: HttpRequest) -> bool:
    """Whether this session is of a member of staff, with the second factor where that is needed."""
    user: Any = request.user
    return user.is_authenticated and user.is_staff and not is_missing(request)


def is_missing(request: HttpRequest) -> bool:
    """Whether the office needs a second factor that this session has not shown.

    It counts from when it was last taken away: an older session has to show the new one.
    """
    return settings.OFFICE_SECOND_FACTOR and not _was_shown(request)


def _was_shown(request: HttpRequest) -> bool:
    user: Any = request.user
    since = user.second_factor_reset_at.timestamp() if user.second_factor_reset_at else 0
    records = get_authentication_records(request, user)
    return any(each["method"] == METHOD and each["at"] > since for each in records)


def has_factor(user: Any) -> bool:
    return Authenticator.objects.filter(user_id=user.pk, type__in=FACTORS).exists()


def is_first(request: HttpRequest) -> bool:
    """Whether this is somebody without a factor who has signed in a moment ago."""
    records = get_authentication_records(request, request.user)
    latest = max((each["at"] for each in records), default=0)
    is_fresh = time.time() - latest < account_settings.REAUTHENTICATION_TIMEOUT
    return is_fresh and not has_factor(request.user)


def note_shown(request: HttpRequest, kind: str) -> None:
    """Count a factor that was just set up in this session as shown in it: its code was checked."""
    user: Any = request.user
    record_authentication(request, user, METHOD, type=kind, reauthenticated=True)


# --- codes ----------------------------------------------------------------------------------------
def use_code(user: User, code: str) -> Authenticator | None:
    """Return the factor that this code is of, and use the code up; None if it is no good.

    A code of an app is good for its half minute and the next, once, and not after a later one. A
    recovery code is good once.
    """
    typed = "".join(code.split())
    for factor in Authenticator.objects.filter(user=user, type__in=tuple(SECRETS)):
        use = _use_totp if factor.type == TOTP else _use_recovery_code
        if use(factor, typed):
            return factor
    return None


def _use_totp(factor: Authenticator, typed: str) -> bool:
    secret = decrypt(factor.data["secret"])
    present = int(time.time()) // app_settings.TOTP_PERIOD
    for counter in (present, present - 1):
        if constant_time_compare(typed, format_hotp_value(hotp_value(secret, counter))):
            begin = datetime.fromtimestamp(counter * app_settings.TOTP_PERIOD, UTC)
            return _claim(factor, Q(last_used_at=None) | Q(last_used_at__lt=begin))
    return False


def _use_recovery_code(factor: Authenticator, typed: str) -> bool:
    used = factor.data["used_mask"]
    for place, code in enumerate(factor.wrap().generate_codes()):
        if not used & (1 << place) and constant_time_compare(typed, code):
            unchanged = Q(last_used_at=factor.last_used_at)
            return _claim(factor, unchanged, data={**factor.data, "used_mask": used | 1 << place})
    return False


def _claim(factor: Authenticator, only: Q, **changes: Any) -> bool:
    rows = Authenticator.objects.filter(only, pk=factor.pk)
    return rows.update(last_used_at=timezone.now(), **changes) == 1


def note_used(user: User, kind: str) -> None:
    """Count the code that set a factor up as used."""
    Authenticator.objects.filter(user=user, type=kind).update(last_used_at=timezone.now())


# --- loss -----------------------------------------------------------------------------------------
@atomic
def take_away(user: User) -> str:
    """Delete somebody's factors and recovery codes, so that they set up new ones, and return which.

    Sessions that have shown them must show the new one. The person is mailed. Raises NoSecondFactor
    where there is none.
    """
    found = all_of(user)
    if not found:
        raise NoSecondFactor
    Authenticator.objects.filter(user=user).delete()
    forget_shown(user)
    _mail_taken_away(user, found)
    with override(OFFICE):
        return in_words(found)


@in_shop_language
def _mail_taken_away(user: User, found: list[Authenticator]) -> None:
    context = {"kinds": in_words(found), "is_staff": user.is_staff, "site": site_facts()}
    text = render_to_string("mfa/email/taken_away.txt", context)
    send_mail(gettext("Your second factor was taken away"), text, None, [user.email])


def forget_shown(user: User) -> None:
    User.objects.filter(pk=user.pk).update(second_factor_reset_at=timezone.now())


def all_of(user: User) -> list[Authenticator]:
    """Return what somebody has set up, recovery codes too."""
    return list(Authenticator.objects.filter(user=user).order_by("type"))


def has_any(found: list[Authenticator]) -> bool:
    """Whether there is a factor among these, and not recovery codes alone."""
    return any(each.type in FACTORS for each in found)


def described(user: User) -> str:
    return in_words(all_of(user))


def in_words(found: list[Authenticator]) -> str:
    """Return what somebody has: `authenticator app, 2 passkeys, 9 recovery codes`."""
    passkeys = sum(each.type == PASSKEY for each in found)
    words = [gettext("authenticator app") for each in found if each.type == TOTP]
    if passkeys:
        words.append(ngettext("%d passkey", "%d passkeys", passkeys) % passkeys)
    codes = [each for each in found if each.type == RECOVERY_CODES]
    left = (len(each.wrap().get_unused_codes()) for each in codes)
    words += [ngettext("%d recovery code", "%d recovery codes", number) % number for number in left]
    return ", ".join(words)


# --- sealing --------------------------------------------------------------------------------------
def reseal() -> Iterator[tuple[Model, bool]]:
    """Seal each secret with the first of DETAILS_KEYS; yield the row and whether it was readable.

    What is sealed with that key already is left out.
    """
    for factor in Authenticator.objects.filter(type__in=tuple(SECRETS)).iterator(500):
        name = SECRETS[Authenticator.Type(factor.type)]
        if is_sealed_with_first_key(factor.data[name]):
            continue
        try:
            text = seal(unseal(factor.data[name]))
        except CannotOpen:
            yield factor, False
            continue
        unchanged = Q(last_used_at=factor.last_used_at)
        Authenticator.objects.filter(unchanged, pk=factor.pk).update(
            data={**factor.data, name: text}
        )
        yield factor, True
