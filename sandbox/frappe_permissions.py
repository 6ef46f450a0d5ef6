"""Which role may do what with a doctype, and what a server tells about itself and its users."""

from __future__ import annotations

from typing import Any

from sandbox import frappe_users
from sandbox.frappe_documents import Caller, find_course, find_user, may
from sandbox.frappe_envelope import FrappeError, server_messages
from sandbox.frappe_rules import MANAGERS
from sandbox.mailbox import reset_link
from sandbox.world import World

Record = dict[str, Any]
STANDARD_USERS = ("Administrator", "Guest")
VERSIONS = {"A": "2.61.0", "B": "2.40.0", "C": "2.61.0", "D": "2.50.0"}
FRAPPE_VERSION = "15.55.1"
HOUR = 3600


def has_permission(world: World, caller: Caller, data: Record) -> Record:
    """Say whether the caller has a right on one document, or on all where none is named."""
    doctype, name = str(data.get("doctype", "")), str(data.get("docname") or "")
    right = str(data.get("perm_type") or "read").lower()
    if name and not _exists(world, caller, doctype, name):
        raise FrappeError(404, "DoesNotExistError", f"{doctype} {name} not found")
    allowed = may(world, caller, doctype, right)
    if doctype == "User" and name == caller.user:
        allowed = allowed or right in ("read", "write")
    elif doctype == "User" and name in STANDARD_USERS:
        allowed = caller.user == "Administrator"
    return {"has_permission": allowed}


def _exists(world: World, caller: Caller, doctype: str, name: str) -> bool:
    if doctype == "User":
        return name in (caller.user, *STANDARD_USERS) or find_user(world, name) is not None
    if doctype == "LMS Course":
        return find_course(world, name) is not None
    return name in world.book.docs.get(doctype, {})


def versions(world: World) -> Record:
    """Return the installed apps as the desk's About box shows them."""
    found = {"frappe": FRAPPE_VERSION, "lms": VERSIONS[world.lms.version]}
    return {
        app: {"title": app.title(), "description": "", "branch": "", "version": version}
        for app, version in found.items()
    }


def own_document(world: World, caller: Caller) -> Record:
    """Return the user that the key belongs to, who is in the book from the first look on."""
    document = find_user(world, caller.user)
    if document is None:
        document = frappe_users.add(world, {"email": caller.user, "first_name": "Bot"})
    document["roles"] = [{"role": role} for role in sorted(caller.roles)]
    return document


def with_roles(document: Record, caller: Caller) -> Record:
    """Return a user as this caller sees it: roles are shown to System Managers only."""
    hidden = () if caller.roles & MANAGERS else ("roles",)
    return {field: value for field, value in document.items() if field not in hidden}


def reset_password(world: World, data: Record, address: str) -> object:
    """Answer as the log-in page's "Forgot password" does: three an hour for an address."""
    since = world.book.now() - HOUR
    with world.book.lock:
        recent = [at for at in world.book.resets.get(address, []) if at > since]
        world.book.resets[address] = [*recent, world.book.now()]
    if len(recent) >= world.lms.reset_limit:
        text = "You hit the rate limit. Try again later."
        raise FrappeError(
            429, "RateLimitExceededError", extra={"_server_messages": server_messages(text)}
        )
    user = find_user(world, data.get("user"))
    if user is None:
        return "not found"
    if not user["enabled"]:
        return "disabled"
    if not world.lms.outgoing_mail:
        raise FrappeError(500, "OutgoingEmailError", "Please setup default outgoing Email Account")
    reset_link(world, user["email"])
    return None
