"""Find or create the learner's user in Frappe. Source: contracts/frappe, section 3.

One at a time over all workers, because concurrent creation deadlocks in Frappe; always with a first
name that has a letter or a digit in it, because without one Frappe hangs; always with a user name
of its own, because the one that Frappe makes of the first name is taken by the second Asha.
"""

import json
import unicodedata
from datetime import timedelta
from hashlib import sha256
from urllib.parse import quote

from lms_sync import locks
from lms_sync.errors import (
    LmsContended,
    LmsDuplicate,
    LmsError,
    LmsNotFound,
    LmsUnavailable,
    LmsUnreadable,
)
from lms_sync.platforms.client import Client
from lms_sync.platforms.frappe_answers import value

COLLECTION = "/api/resource/User"
CREATION_LOCK = "frappe:create-user"
MAX_NAME = 140
LONGEST_WAIT_FOR_LOCK = timedelta(seconds=5)
LEASE_MARGIN = timedelta(seconds=15)
FALLBACK_NAME = "Learner"


def ensure_user(client: Client, email: str, *, full_name: str) -> None:
    """Ensure that the LMS has a user with this e-mail.

    Raises LmsBusy when other workers hold the lock for too long.
    """
    if user_exists(client, email):
        return
    with locks.held(CREATION_LOCK, lease=client.budget + LEASE_MARGIN, wait=LONGEST_WAIT_FOR_LOCK):
        _create(client, email, full_name)


def user_exists(client: Client, email: str) -> bool:
    try:
        user = value(client.call("GET", f"{COLLECTION}/{quote(email, safe='@')}"), "data")
    except LmsNotFound:
        return False
    if not isinstance(user, dict) or str(user.get("name", "")).lower() != email.lower():
        raise LmsUnreadable("The answer is about another user.", kind="wrong_user")
    return True


def _create(client: Client, email: str, full_name: str) -> None:
    try:
        value(client.call("POST", COLLECTION, body=json.dumps(new_user(email, full_name))), "data")
    except (LmsDuplicate, LmsUnavailable) as error:
        _accept_if_created(client, email, error)


def _accept_if_created(client: Client, email: str, error: LmsError) -> None:
    """Raise the error unless the user exists, as it may after a lost answer or a collision."""
    if user_exists(client, email):
        return
    raise LmsContended(error.reason, **error.details) if isinstance(error, LmsDuplicate) else error


def new_user(email: str, full_name: str) -> dict[str, str | int]:
    first, last = names(email, full_name)
    document: dict[str, str | int] = {
        "email": email,
        "first_name": first,
        "username": username(email),
        "send_welcome_email": 0,
    }
    return document | ({"last_name": last} if last else {})


def names(email: str, full_name: str) -> tuple[str, str]:
    """Return a first and a last name; the first is never blank nor only punctuation."""
    clean = "".join(
        letter
        for letter in full_name
        if (letter not in "<>" and unicodedata.category(letter)[0] != "C") or letter == " "
    )
    first, _, last = " ".join(clean.split()).partition(" ")
    candidates = (first, f"{first} {last}", email.partition("@")[0], FALLBACK_NAME)
    usable = next(name for name in candidates if any(letter.isalnum() for letter in name))
    return usable[:MAX_NAME], last[:MAX_NAME] if usable == first else ""


def username(email: str) -> str:
    """Return a user name that belongs to this e-mail alone and does not show it."""
    return f"learner-{sha256(email.encode()).hexdigest()[:16]}"
