"""Find or create the learner's user in Frappe. Source: contracts/frappe, section 3.

One at a time over all workers, because concurrent creation deadlocks in Frappe; always with a first
name that has a letter or a digit in it, because without one Frappe hangs; always with a user name
of its own, because the one that Frappe makes of the first name is taken by the second Asha.
"""

import json
import unicodedata
from datetime import timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from django.conf import settings

from lms_sync import accounts
from lms_sync.errors import (
    LmsContended,
    LmsDuplicate,
    LmsError,
    LmsNoNewUsers,
    LmsNotFound,
    LmsRefused,
    LmsUnavailable,
    LmsUnreadable,
    LmsUserDisabled,
)
from lms_sync.platforms.client import Client
from lms_sync.platforms.frappe_answers import value
from maaledu.names import JOINERS

COLLECTION = "/api/resource/User"
MAX_NAME = 140
LEASE_MARGIN = timedelta(seconds=15)
NOT_FOR_FRAPPE = {"Cc", "Cf", "Cs"}  # control and format characters, and halves of one
FALLBACK_NAME = "Learner"


def ensure_user(client: Client, email: str, *, full_name: str, is_missing: bool = False) -> bool:
    """Ensure that the LMS has a user with this e-mail, and return whether this call made one.

    One that is there keeps its name, and is enabled where the setting allows. Where the user
    `is_missing` as far as is known, it is made without a look. Raises LmsAccountWaits where it is
    not this worker's turn to make one, and LmsUserDisabled.
    """
    if not is_missing and _is_there(client, email):
        return False
    with accounts.turn(client.platform, lease=client.budget + LEASE_MARGIN):
        return _create(client, email, full_name)


def _is_there(client: Client, email: str) -> bool:
    user = find_user(client, email)
    if user is not None and is_disabled(user):
        _enable(client, email)
    return user is not None


def find_user(client: Client, email: str) -> dict[str, Any] | None:
    try:
        user = value(client.call("GET", _path(email)), "data")
    except LmsNotFound:
        return None
    if not isinstance(user, dict) or str(user.get("name", "")).lower() != email.lower():
        raise LmsUnreadable("The answer is about another user.", kind="wrong_user")
    return user


def is_disabled(user: dict[str, Any]) -> bool:
    """Whether a user cannot sign in, as the LMS or the customer's method describes it."""
    return user.get("enabled") in (0, "0", False)


def _enable(client: Client, email: str) -> None:
    # A disabled user is enrolled without a word, cannot sign in, and gets no new password.
    if not settings.FRAPPE_ENABLE_USERS:
        raise LmsUserDisabled("Enable it in the LMS under User, or set FRAPPE_ENABLE_USERS.")
    try:
        user = value(client.call("PUT", _path(email), body=json.dumps({"enabled": 1})), "data")
    except LmsRefused as error:
        # Such as a limit on users of the site: the learner's course waits for staff, as it is paid.
        raise LmsUserDisabled(
            f"The LMS refuses to enable it: {error.reason}", **error.details
        ) from error
    if isinstance(user, dict) and is_disabled(user):
        raise LmsUserDisabled("The LMS took the change and left it as it was. Enable it there.")


def _path(email: str) -> str:
    return f"{COLLECTION}/{quote(email, safe='@')}"


def _create(client: Client, email: str, full_name: str) -> bool:
    """Create the user, and return whether it is ours, as it is after an answer that was lost.

    The limit on new users is asked about before whether there is one.
    """
    try:
        value(client.call("POST", COLLECTION, body=json.dumps(new_user(email, full_name))), "data")
    except (LmsDuplicate, LmsNoNewUsers, LmsUnavailable) as error:
        _accept_if_created(client, email, error)
        return isinstance(error, LmsUnavailable)
    return True


def _accept_if_created(client: Client, email: str, error: LmsError) -> None:
    """Raise the error unless the user exists, as it may after a lost answer or a collision."""
    if _is_there(client, email):
        return
    if isinstance(error, LmsDuplicate):
        raise LmsContended(error.reason, **error.details)
    error.about_accounts = True
    raise error


def new_user(email: str, full_name: str) -> dict[str, str | int]:
    first, last = names(email, full_name)
    document: dict[str, str | int] = {
        "email": email,
        "first_name": first,
        "username": username(email),
        "send_welcome_email": int(settings.FRAPPE_WELCOME_MAIL),
    }
    return document | ({"last_name": last} if last else {})


def names(email: str, full_name: str) -> tuple[str, str]:
    """Return a first and a last name; the first is never blank nor only punctuation."""
    clean = "".join(
        letter
        for letter in full_name
        if letter in JOINERS
        or (letter not in "<>" and unicodedata.category(letter) not in NOT_FOR_FRAPPE)
    )
    first, _, last = " ".join(clean.split()).partition(" ")
    candidates = (first, f"{first} {last}", email.partition("@")[0], FALLBACK_NAME)
    usable = next(name for name in candidates if any(letter.isalnum() for letter in name))
    # The LMS puts both, and a blank between them, into one field of that length.
    room = max(0, MAX_NAME - len(usable) - 1)
    return usable[:MAX_NAME], last[:room].rstrip() if usable == first else ""


def username(email: str) -> str:
    """Return a user name that belongs to this e-mail alone and does not show it."""
    return f"learner-{sha256(email.encode()).hexdigest()[:16]}"
