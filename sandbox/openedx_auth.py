"""Tokens of Open edX: made from an application's id and secret, and read from a header."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from secrets import compare_digest, token_hex
from typing import Any
from urllib.parse import unquote_plus

from sandbox.openedx_answers import EdxError, detail, invalid_client, page, unauthorized
from sandbox.openedx_store import Caller
from sandbox.wire import Request, Response, html_response, json_response
from sandbox.world import World

SIGNED_WITH = b"the signing key of a sandbox"
WINDOW = 60
LEEWAY = 1
NOT_GIVEN = "Authentication credentials were not provided."
UNKNOWN = {
    "error_code": "token_nonexistent",
    "developer_message": "The provided access token does not match any valid tokens.",
}


def give_token(world: World, request: Request) -> Response:
    """Answer POST /oauth2/access_token: a token says nothing about what its user may do."""
    if request.method != "POST":
        return html_response("", 405)
    _count(world)
    form = {} if "json" in request.headers.get("content-type", "") else request.form()
    if form.get("grant_type") != "client_credentials":
        raise EdxError(400, {"error": "unsupported_grant_type"})
    _check_application(world, *_credentials(request, form))
    if form.get("scope"):
        raise EdxError(400, {"error": "invalid_scope"})
    if form.get("token_type", "").lower() == "jwt":
        seconds = world.edx.token_seconds
        return _token(_signed(world, seconds), seconds, "JWT")
    opaque = token_hex(15)
    world.edx.opaque[opaque] = world.book.now() + 10 * world.edx.token_seconds
    return _token(opaque, 10 * world.edx.token_seconds, "Bearer")


def caller_of(world: World, request: Request, *, jwt_only: bool = False) -> Caller:
    """Return who asks. Expired, made up and garbled tokens look the same: 401."""
    if "sessionid" in request.headers.get("cookie", ""):
        raise page(500)  # a cookie of another login beside a good token is more than it can read
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if not token:
        raise unauthorized(NOT_GIVEN)
    if scheme.lower() == "jwt":
        _check_signed(world, token)
    elif scheme.lower() == "bearer" and not jwt_only:
        if world.edx.opaque.get(token, 0) < world.book.now():
            raise EdxError(401, UNKNOWN, headers=(("WWW-Authenticate", 'JWT realm="api"'),))
    else:
        raise unauthorized(NOT_GIVEN)
    return Caller(world.edx.user, world.edx.staff)


def check_accept(request: Request) -> None:
    accept = request.headers.get("accept", "*/*")
    if not any(kind in accept for kind in ("*/*", "application/json", "application/*")):
        raise detail(406, "Could not satisfy the request Accept header.")


def _credentials(request: Request, form: dict[str, str]) -> tuple[str, str]:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        name, _, secret = base64.b64decode(value).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise invalid_client() from error
    return unquote_plus(name), unquote_plus(secret)


def _check_application(world: World, client_id: str, secret: str) -> None:
    good = (world.edx.client_id, world.edx.client_secret)
    if not all(
        compare_digest(given.encode(), right.encode())
        for given, right in zip((client_id, secret), good, strict=True)
    ):
        raise invalid_client()
    if world.edx.grant_type != "client-credentials":
        raise EdxError(400, {"error": "unauthorized_client"})


def _count(world: World) -> None:
    """Refuse more requests from one address in a minute than the limit: a page, no Retry-After."""
    now = world.book.now()
    with world.book.lock:
        recent = [moment for moment in world.edx.token_times if moment > now - WINDOW]
        world.edx.token_times = [*recent, now]
    if len(recent) >= world.edx.token_limit:
        raise page(429)


def _token(token: str, seconds: float, kind: str) -> Response:
    body = {
        "access_token": token,
        "expires_in": seconds,
        "token_type": kind,
        "scope": "read write email profile",
    }
    return json_response(body)


def _signed(world: World, seconds: float) -> str:
    now = world.book.now()
    claims = {
        "preferred_username": world.edx.user,
        "scopes": ["read", "write", "email", "profile"],
        "administrator": world.edx.staff,
        "exp": now + seconds,
        "iat": now,
    }
    body = f"{_encoded({'alg': 'HS512', 'typ': 'JWT'})}.{_encoded(claims)}"
    return f"{body}.{_signature(body)}"


def _check_signed(world: World, token: str) -> None:
    body, _, signature = token.rpartition(".")
    if not body or not compare_digest(signature.encode(), _signature(body).encode()):
        raise unauthorized()
    claims = json.loads(base64.urlsafe_b64decode(body.partition(".")[2] + "=="))
    if claims["exp"] + LEEWAY < world.book.now() or claims["iat"] < world.edx.tokens_since:
        raise unauthorized()


def _encoded(data: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")


def _signature(body: str) -> str:
    digest = hmac.new(SIGNED_WITH, body.encode(), hashlib.sha512).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
