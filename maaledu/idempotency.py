"""Answer a request that is sent again as it was answered the first time, by its Idempotency-Key.

Of many at once one is run. Only what made something is kept: a refusal is decided anew, and so is a
request whose process was lost, so what it does must be safe to repeat.
"""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone

from maaledu import metrics
from maaledu.errors import AppError
from maaledu.forgetting import forget
from maaledu.http import JSON, MAX_JSON_BYTES, read_body
from maaledu.models import IdempotentAnswer

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
LONGEST_KEY = 255
# Longer than any request takes: whoever held the key then is lost.
HELD_FOR = timedelta(minutes=2)


class BadIdempotencyKey(AppError):
    code = "IDEMPOTENCY_KEY_INVALID"
    message = "An Idempotency-Key has 1 to 255 visible characters of ASCII, such as a UUID."
    http_status = 400


class IdempotencyKeyReused(AppError):
    code = "IDEMPOTENCY_KEY_REUSED"
    message = "This Idempotency-Key was used for another request. Send a new key with a new one."
    http_status = 409


class StillAnswering(AppError):
    code = "IDEMPOTENCY_KEY_IN_USE"
    message = "A request with this Idempotency-Key is being answered just now."
    http_status = 409
    retryable = True
    retry_after = timedelta(seconds=1)


def answer_once(
    request: HttpRequest, *, asked_by: str, run: Callable[[], HttpResponseBase]
) -> HttpResponseBase:
    """Return what `run` answers, or what it answered to this request before.

    `asked_by` says whose key it is. Raises BadIdempotencyKey, StillAnswering, and
    IdempotencyKeyReused for another address or body.
    """
    body = read_body(request, max_bytes=MAX_JSON_BYTES)
    asked = _hash(str(request.method), request.path, body)
    key = _hash(asked_by, _read_key(request), b"")
    held = {"request": asked, "held_until": timezone.now() + HELD_FOR}
    answer, is_new = IdempotentAnswer.objects.get_or_create(pk=key, defaults=held)
    if not is_new:
        if answer.request != asked:
            raise IdempotencyKeyReused
        if answer.http_status is not None:
            return _again(answer)
        _take_over(answer)
    return _run(answer, run)


def _read_key(request: HttpRequest) -> str:
    key = request.headers.get(HEADER, "")
    if not (0 < len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        raise BadIdempotencyKey
    return key


def _hash(*texts: str | bytes) -> str:
    parts = [text.encode() if isinstance(text, str) else text for text in texts]
    framed = b"".join(b"%d:%b" % (len(part), part) for part in parts)
    return hashlib.sha256(framed).hexdigest()


def _again(answer: IdempotentAnswer) -> HttpResponse:
    metrics.SKIPS.labels("request").inc()
    response = HttpResponse(answer.body, content_type=JSON, status=answer.http_status)
    response[REPLAYED] = "true"
    return response


def _take_over(answer: IdempotentAnswer) -> None:
    """Run a request whose process was lost. Raises StillAnswering while it may go on."""
    now = timezone.now()
    lapsed = IdempotentAnswer.objects.filter(
        pk=answer.pk, fence=answer.fence, http_status=None, held_until__lt=now
    )
    if lapsed.update(fence=F("fence") + 1, held_until=now + HELD_FOR) != 1:
        raise StillAnswering
    answer.fence += 1


def _run(answer: IdempotentAnswer, run: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    # By the fence: who was taken for lost says nothing any more.
    ours = IdempotentAnswer.objects.filter(pk=answer.pk, fence=answer.fence, http_status=None)
    made: dict[str, Any] = {}
    try:
        response = run()
        if isinstance(response, HttpResponse) and response.status_code < 400:
            made = {"http_status": response.status_code, "body": response.content.decode()}
    finally:
        # Whatever was refused or broke off made nothing, and may be sent again as it is or mended.
        _ = ours.update(**made) if made else ours.delete()
    return response


def forget_old() -> int:
    """Delete what is past its retention, and return how many there were."""
    oldest = timezone.now() - settings.IDEMPOTENCY_KEPT
    old = IdempotentAnswer.objects.filter(created_at__lt=oldest)
    return forget(old, by="created_at")
