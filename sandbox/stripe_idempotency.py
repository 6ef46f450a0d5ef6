"""Idempotency keys: one execution for each, whose answer is given again, a 500 too.

Other parameters under the same key are refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from sandbox.stripe_errors import StripeRefusal
from sandbox.wire import Request, Response
from sandbox.world import World

KEY_LENGTH = 255


def run(
    world: World, request: Request, work: Callable[[], tuple[Response, Response | None]]
) -> Response:
    """Run ``work`` once for the request's Idempotency-Key.

    ``work`` returns its answer and the one that the key keeps, if any.
    """
    key = request.headers.get("idempotency-key", "")
    if not key or request.method != "POST":
        return work()[0]
    if len(key) > KEY_LENGTH:
        raise StripeRefusal(
            f"Idempotency keys can have up to {KEY_LENGTH} characters.", kind="idempotency_error"
        )
    fingerprint = hashlib.sha256(f"{request.path}\n".encode() + request.body).hexdigest()
    stored = _enter(world, key, fingerprint)
    if stored is not None:
        return stored
    try:
        response, kept = work()
        if kept is not None:
            _store(world, key, fingerprint, kept)
        return response
    finally:
        world.keys_in_flight.discard(key)


def _enter(world: World, key: str, fingerprint: str) -> Response | None:
    with world.book.lock:
        if key in world.keys_in_flight:
            raise StripeRefusal(
                f"Another request with the idempotency key {key} is in progress.",
                code="idempotency_key_in_use",
                status=409,
                kind="idempotency_error",
            )
        stored = world.book.answers.get(key)
        if stored is None:
            world.keys_in_flight.add(key)
            return None
    if stored["fingerprint"] != fingerprint:
        raise StripeRefusal(
            f"The idempotency key {key} was used before with other parameters.",
            kind="idempotency_error",
        )
    headers = [
        ("Idempotent-Replayed", "true"),
        ("Original-Request", stored["request_id"]),
        ("Idempotency-Key", key),
    ]
    return Response(stored["status"], stored["body"].encode(), headers=headers)


def _store(world: World, key: str, fingerprint: str, response: Response) -> None:
    request_id = next((value for name, value in response.headers if name == "Request-Id"), "")
    answer = {
        "fingerprint": fingerprint,
        "status": response.status,
        "body": response.body.decode(),
        "request_id": request_id,
    }
    world.book.answers[key] = answer
    world.book.dirty = True
