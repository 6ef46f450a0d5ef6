"""Who asks: a program by its API key, else a person by their session, else nobody."""

from dataclasses import dataclass

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.crypto import salted_hmac
from ninja.utils import check_csrf

from accounts import keys, second_factor
from accounts.models import ApiKey, User
from affiliates.errors import SignInNeeded
from api.errors import ScopeMissing, SecondFactorNeeded
from api.terms import ANYBODY, STAFF, Terms
from maaledu.addresses import client_network
from maaledu.errors import Forbidden

BEARER = "bearer"
SAFE_METHODS = ("GET", "HEAD")


@dataclass(frozen=True)
class Credential:
    """The API key that a request names; without `key` it is none that may be used."""

    key: ApiKey | None


def credential_of(request: HttpRequest) -> Credential | None:
    """Return the API key of a request, None where it names none."""
    sent = request.headers.get("Authorization", "")
    scheme, _, text = sent.partition(" ")
    key = keys.find(text.strip()) if scheme.lower() == BEARER else None
    return Credential(key) if sent else None


def admit(
    request: HttpRequest, terms: Terms, credential: Credential | None
) -> HttpResponseBase | None:
    """Let in whoever may ask this; return the answer to a request that another site has made.

    Raises InvalidApiKey, ScopeMissing, SignInNeeded, Forbidden, SecondFactorNeeded.
    """
    if credential:
        _admit_key(request, terms, credential)
    elif request.method not in SAFE_METHODS and (refused := check_csrf(request)):
        return refused
    if terms.who != ANYBODY and not request.user.is_authenticated:
        raise SignInNeeded
    if terms.who == STAFF and not may(request.user, terms.permission):
        raise Forbidden
    # A key was made in the office, where its maker had shown it.
    if terms.who == STAFF and not credential and second_factor.is_missing(request):
        raise SecondFactorNeeded
    return None


def may(user: object, permission: str) -> bool:
    """Whether a member of staff has this permission, as the office asks for it."""
    return isinstance(user, User) and user.is_staff and user.has_perm(permission)


def may_as_staff(request: HttpRequest, permission: str) -> bool:
    """Whether this request may do what the office lets this member of staff do.

    A key was made in the office, where its maker had shown the second factor.
    """
    is_proved = hasattr(request, "api_key") or not second_factor.is_missing(request)
    return may(request.user, permission) and is_proved


def _admit_key(request: HttpRequest, terms: Terms, credential: Credential) -> None:
    """Ask in the name of the key's maker, whatever cookies come along."""
    key = credential.key
    if key is None:
        raise keys.InvalidApiKey
    request.COOKIES, request.user = {}, key.user
    request.api_key = key  # type: ignore[attr-defined]
    keys.note_use(key)
    if terms.scope and terms.scope not in key.scope_list:
        error = ScopeMissing()
        error.public_details = {"scope": terms.scope}
        raise error


def owner_of_keys(request: HttpRequest, credential: Credential | None) -> str:
    """Return whose Idempotency-Keys those of this request are: nobody guesses another's.

    Of who is neither signed in nor has a key, they are those of the network.
    """
    if credential and credential.key:
        return f"key:{credential.key.pk}"
    if request.user.is_authenticated:
        return f"user:{request.user.pk}"
    network = salted_hmac("api.callers", client_network(request), algorithm="sha256")
    return f"network:{network.hexdigest()}"
