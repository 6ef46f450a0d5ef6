"""The `LMS Payment` without which LMS 2.43 to 2.53 enrolls nobody into a course with a price.

It names an address and a source, which are ours and made once for all payments. Whether a payment
is there is asked by learner and course first, and its id is that of the purchase: however often a
job is tried, there is one. When the purchase is over it no longer counts as received, or the
learner could enroll with it again. Source: contracts/frappe, section 4, the table of versions.
"""

import json
import re
from typing import Any
from urllib.parse import quote

from django.conf import settings

from lms_sync.errors import (
    LmsBrokenLink,
    LmsDuplicate,
    LmsMisconfigured,
    LmsNotFound,
    LmsUnreadable,
)
from lms_sync.platforms.answers import read_id
from lms_sync.platforms.base import EnrollRequest
from lms_sync.platforms.client import Client
from lms_sync.platforms.frappe_answers import value
from lms_sync.platforms.frappe_rights import NEEDS_ROLES, is_denied
from lms_sync.platforms.frappe_users import names
from lms_sync.platforms.major_units import with_amounts

PAYMENTS = "/api/resource/LMS%20Payment"
ADDRESSES, SOURCES = "/api/resource/Address", "/api/resource/LMS%20Source"
COUNTRIES = "/api/resource/Country"
FIRST_WITH_PAYMENT, FIRST_WITHOUT = (2, 43), (2, 54)
TITLE, KIND = "MaalEdu", "Billing"
FREE = "FREE"  # stands for a payment with every free enrollment, so it names none
COURSE = "LMS Course"
NEEDED_RIGHTS = (
    ("LMS Payment", "read"),
    ("LMS Payment", "create"),
    ("LMS Payment", "write"),
    ("Address", "read"),
    ("Address", "create"),
    ("LMS Source", "create"),
)


def needs_payment(version: str) -> bool:
    """Return whether this version takes nobody into a paid course without a payment of its own."""
    numbers = re.match(r"(\d+)\.(\d+)", version)
    found = (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
    return FIRST_WITH_PAYMENT <= found < FIRST_WITHOUT


def obstacles(client: Client) -> tuple[str, ...]:
    """Return why no payment could be made in the LMS, if so."""
    lacking = tuple(
        f"It has a price in the LMS, whose version enrolls nobody into such a course without an LMS"
        f" Payment, and the key may not {right} the {kind} for it. {NEEDS_ROLES}"
        for kind, right in NEEDED_RIGHTS
        if is_denied(client, kind, "", right)
    )
    is_unknown = not lacking and not _find_address(client) and not _knows_country(client)
    return (*lacking, f"It has a price in the LMS. {_no_country()}") if is_unknown else lacking


def _knows_country(client: Client) -> bool:
    path = f"{COUNTRIES}/{quote(settings.FRAPPE_PAYMENT_COUNTRY, safe='')}"
    try:
        value(client.call("GET", path), "data")
    except LmsNotFound:
        return False
    except LmsMisconfigured:  # it may be there, and not be shown to us
        return True
    return True


def _no_country() -> str:
    country = settings.FRAPPE_PAYMENT_COUNTRY
    return f"The LMS knows no country {country}. Set FRAPPE_PAYMENT_COUNTRY to one that it lists."


def payment_id(request: EnrollRequest) -> str:
    """Return what names the payment of this purchase in the LMS, where such ids are unique."""
    paid = "" if request.payment_id == FREE else request.payment_id
    return paid or str(request.extra.get("enrollment_id") or "")


def ensure_payment(client: Client, request: EnrollRequest) -> None:
    """Ensure that the LMS counts the course as paid for by this learner, by one payment."""
    rows = _find(
        client,
        [
            ["member", "=", request.email],
            ["payment_for_document_type", "=", COURSE],
            ["payment_for_document", "=", request.course_id],
        ],
    )
    if any(row.get("payment_received") for row in rows):
        return
    ours = payment_id(request)
    # Before it is sent: where the answer is lost, the end of the purchase must find it.
    request.notes.payment_sent(ours)
    # It is there when access is given again, and when staff have corrected where the course is.
    known = _find(client, _of(request.email, ours))
    if known:
        changes = {"payment_for_document": request.course_id, "payment_received": 1}
        _change(client, known[:1], changes)
    else:
        _insert(client, request)


def withdraw(client: Client, email: str, ids: frozenset[str]) -> None:
    """Let the learner's payments with these ids of ours count as received no longer."""
    if not ids:
        return
    rows = _find(client, _of(email, *sorted(ids)))
    _change(client, [row for row in rows if row.get("payment_received")], {"payment_received": 0})


def _of(email: str, *ids: str) -> list[list[Any]]:
    return [["member", "=", email], ["payment_id", "in", list(ids)]]


def _find(client: Client, filters: list[list[Any]]) -> list[dict[str, Any]]:
    fields = ["name", "payment_id", "payment_received"]
    asked = {"filters": json.dumps(filters), "fields": json.dumps(fields)}
    found = value(client.call("GET", PAYMENTS, query={**asked, "limit_page_length": "0"}), "data")
    if isinstance(found, list) and all(isinstance(row, dict) for row in found):
        return found
    raise LmsUnreadable("The list of payments is not what was asked for.", kind="wrong_rows")


def _change(client: Client, rows: list[dict[str, Any]], changes: dict[str, Any]) -> None:
    for row in rows:
        path = f"{PAYMENTS}/{quote(read_id(row.get('name')), safe='')}"
        value(client.call("PUT", path, body=json.dumps(changes)), "data")


def _insert(client: Client, request: EnrollRequest) -> None:
    """Make the payment, and before it the address and the source where they are missing."""
    try:
        _post(client, request, address=f"{TITLE}-{KIND}")
    except LmsBrokenLink:
        # The first one ever, or the LMS writes the address's name in another language.
        _ensure_source(client)
        _post(client, request, address=_ensure_address(client))


def _post(client: Client, request: EnrollRequest, *, address: str) -> None:
    first, last = names(request.email, request.full_name)
    document = {
        "member": request.email,
        "billing_name": f"{first} {last}".strip(),
        "address": address,
        "source": TITLE,
        "currency": (request.currency or "usd").upper(),
        "payment_for_document_type": COURSE,
        "payment_for_document": request.course_id,
        "payment_id": payment_id(request),
        "order_id": str(request.extra.get("enrollment_id") or ""),
        "payment_received": 1,
    }
    body = with_amounts(document, {"amount": request.amount or 0}, request.currency)
    value(client.call("POST", PAYMENTS, body=body), "data")


def _ensure_source(client: Client) -> None:
    try:
        value(client.call("POST", SOURCES, body=json.dumps({"source": TITLE})), "data")
    except LmsDuplicate:
        return


def _find_address(client: Client) -> str:
    """Return the name of the address of all our payments, "" where there is none yet."""
    query = {"filters": json.dumps([["address_title", "=", TITLE]]), "order_by": "creation asc"}
    found = value(client.call("GET", ADDRESSES, query=query), "data")
    is_there = isinstance(found, list) and found and isinstance(found[0], dict)
    return read_id(found[0].get("name")) if is_there else ""


def _ensure_address(client: Client) -> str:
    if known := _find_address(client):
        return known
    document = {
        "address_title": TITLE,
        "address_type": KIND,
        "address_line1": "Online",
        "city": "Online",
        "country": settings.FRAPPE_PAYMENT_COUNTRY,
    }
    try:
        made = value(client.call("POST", ADDRESSES, body=json.dumps(document)), "data")
    except LmsBrokenLink as error:
        raise LmsMisconfigured(_no_country()) from error
    return read_id(made.get("name") if isinstance(made, dict) else None)
