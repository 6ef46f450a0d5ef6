"""Who a request to the LMS acts as: a key's owner, or silently Guest, or 401."""

from __future__ import annotations

import base64
import binascii

from sandbox.frappe_documents import GUEST, Caller
from sandbox.frappe_envelope import FrappeError
from sandbox.wire import Request
from sandbox.world import World


def authenticate(world: World, request: Request) -> Caller:
    """Return the caller.

    A header without exactly two parts is ignored, as Frappe ignores it; any other unknown one is
    refused.
    """
    parts = request.headers.get("authorization", "").split(" ")
    if len(parts) != 2 or world.lms.drops_key:
        return GUEST
    caller = _caller(world, _key(world, parts[0].lower(), parts[1]))
    if world.lms.block_endpoints and not caller.is_system_user:
        raise FrappeError(
            403, "PermissionError", f"Access not allowed for this URL: {request.path}"
        )
    return caller


def check_csrf(request: Request) -> None:
    """Refuse a write that carries a login cookie without the CSRF token, even with a good key."""
    cookies = dict(
        part.strip().partition("=")[::2]
        for part in request.headers.get("cookie", "").split(";")
        if part.strip()
    )
    logged_in = cookies.get("sid", "Guest") not in ("", "Guest")
    if logged_in and request.method != "GET" and "x-frappe-csrf-token" not in request.headers:
        raise FrappeError(400, "CSRFTokenError", "Invalid Request")


def _key(world: World, scheme: str, value: str) -> str:
    if scheme == "basic":
        return _decoded(value)
    if scheme == "token":
        return value
    if scheme == "bearer" and world.lms.server == "custom":
        return value
    return ""


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _caller(world: World, key: str) -> Caller:
    owner = world.lms.keys.get(key)
    if owner is None:
        raise FrappeError(401, "AuthenticationError")
    user = "Administrator" if "Administrator" in owner.roles else owner.user
    # The LMS makes every user a student.
    return Caller(user, owner.roles | {"LMS Student"}, owner.is_system_user)
