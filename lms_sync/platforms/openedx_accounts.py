"""Find a learner's account in Open edX by e-mail. Source: contracts/openedx, section 3.

Its database compares addresses without accents, so that the account of another person may be what
is found: only one whose address is the one asked for counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lms_sync.errors import LmsAccountRetired, LmsUnreadable
from lms_sync.platforms.client import Answer
from lms_sync.platforms.openedx_answers import EMPTY, rows, shape_of
from lms_sync.platforms.openedx_client import EdxClient

ACCOUNTS = "/api/user/v1/accounts"


@dataclass(frozen=True)
class Account:
    number: int
    username: str
    is_active: bool


def find_account(edx: EdxClient, email: str) -> Account | None:
    """Return the account of an address, None where there is none. Raises LmsAccountRetired."""
    answer = edx.call("GET", ACCOUNTS, query={"email": email})
    _keep_personal_data_out(edx, answer)
    if answer.status == 404 and shape_of(answer) == EMPTY:
        return None
    if answer.status == 404 and shape_of(answer) == "error_msg":
        raise LmsAccountRetired(status=404)
    found = [row for row in rows(answer) if same(row.get("email"), email)]
    return _account(found[0]) if found else None


def usernames_of(edx: EdxClient, emails: Sequence[str]) -> dict[str, str]:
    """Return the user names of those of the addresses that have an account of their own."""
    answer = edx.call("POST", f"{ACCOUNTS}/search_emails", body={"emails": list(emails)})
    _keep_personal_data_out(edx, answer)
    found = {str(row.get("email")).casefold(): str(row.get("username")) for row in rows(answer)}
    return {email: found[email.casefold()] for email in emails if email.casefold() in found}


def same(one: Any, other: str) -> bool:
    """Return whether two addresses or keys differ in nothing but case."""
    return isinstance(one, str) and one.casefold() == other.casefold()


def _account(row: dict[str, Any]) -> Account:
    username, number = row.get("username"), row.get("id")
    if not isinstance(username, str) or not username or "/" in username or "," in username:
        raise LmsUnreadable("The account has no user name.", kind="wrong_user")
    return Account(
        number if isinstance(number, int) else 0, username, row.get("is_active") is not False
    )


def _keep_personal_data_out(edx: EdxClient, answer: Answer) -> None:
    """Note of an account only whether there is one: its answer has a key to activate it in it."""
    if answer.status == 200:
        journal = edx.client.journal
        journal[-1] = replace(journal[-1], response="[accounts, not kept]")
