"""How an address of the API is declared: method, path, terms, and what goes in and out.

@operation("POST", "checkout", terms=TERMS, answers={201: Started}, takes=Order)
def start_checkout(request): ...
"""

import functools
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from ninja import Router
from ninja.decorators import decorate_view

from api import callers, described
from api.terms import Terms
from maaledu import idempotency, limits
from maaledu.http import refuse_other_than_json

router = Router(by_alias=True)
Run = Callable[..., HttpResponseBase]


def operation(
    method: str,
    path: str,
    *,
    terms: Terms,
    answers: dict[int, Any],
    takes: Any = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a view as an address of the API.

    `takes` documents a body that the view reads itself, by a form that pages use as well.
    """

    def declare(view: Callable[..., Any]) -> Callable[..., Any]:
        summary, _, description = (view.__doc__ or "").partition("\n")
        register = router.api_operation(
            [method, "HEAD"] if method == "GET" else [method],
            path,
            response=answers,
            exclude_unset=True,
            operation_id=view.__name__,
            url_name=view.__name__,
            summary=summary.rstrip("."),
            description=" ".join(description.split()) or None,
            tags=[view.__module__.rpartition(".")[2]],
            openapi_extra=described.additions(method, terms, takes),
        )
        return register(decorate_view(_on(terms))(view))

    return declare


def _on(terms: Terms) -> Callable[[Run], Run]:
    """Count, admit and answer once, before anything of the request is read."""

    def decorate(run: Run) -> Run:
        @functools.wraps(run)
        def guarded(request: HttpRequest, **path: Any) -> HttpResponseBase:
            credential = callers.credential_of(request)
            answer = functools.partial(
                _answer, request, terms, credential, functools.partial(run, request, **path)
            )
            key = credential.key if credential else None
            # What somebody could guess is limited by the network, whoever asks.
            if key and terms.limit not in settings.RATE_LIMITS_ALWAYS_COUNTED:
                return limits.answer_holder(request, str(key.pk), answer, rate=key.rate)
            return limits.answer_network(request, terms.limit, answer)

        return guarded

    return decorate


def _answer(
    request: HttpRequest,
    terms: Terms,
    credential: callers.Credential | None,
    run: Callable[[], HttpResponseBase],
) -> HttpResponseBase:
    # First: our token would be sought in a form, and all of the form read for that.
    if request.method == "POST":
        refuse_other_than_json(request)
    if refused := callers.admit(request, terms, credential):
        return refused
    if not (terms.makes and idempotency.HEADER in request.headers):
        return run()
    owner = callers.owner_of_keys(request, credential)
    return idempotency.answer_once(request, asked_by=owner, run=run)
