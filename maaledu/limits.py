"""Limit how often something may be asked for: by client, by address, by coupon."""

import functools
import time
from collections.abc import Callable, Collection
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django_ratelimit.core import get_usage

from maaledu.addresses import client_network
from maaledu.errors import AppError, RateLimited
from maaledu.http import error_response

View = Callable[..., HttpResponseBase]
MINUTES_SAID_AS_HOURS = 90


def limit(name: str, *, methods: Collection[str] | None = None) -> Callable[[View], View]:
    """Let a client call the view as often as RATE_LIMITS[name] says, and name the limit in headers.

    `methods` are the ones that count, all by default. Over the limit the response is RateLimited
    and the view is not run.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def limited(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if methods is not None and str(request.method) not in methods:
                return view(request, *args, **kwargs)
            usage = _count(request, name, client_network(request))
            return _answer_within(request, usage, functools.partial(view, request, *args, **kwargs))

        return limited

    return decorate


def enforce_limit(request: HttpRequest, name: str, key: str) -> None:
    """Count one attempt against RATE_LIMITS[name] for `key`, such as an account.

    Raises RateLimited over the limit.
    """
    _refuse_over(_count(request, name, key))


def _count(request: HttpRequest, name: str, key: str) -> dict[str, int]:
    """Count in one atomic step in the shared cache, which lets through while it is lost."""
    rate = settings.RATE_LIMITS[name]
    return get_usage(request, group=name, key=lambda *_: key, rate=rate, increment=True) or {}


def _answer_within(
    request: HttpRequest, usage: dict[str, int], answer: Callable[[], HttpResponseBase]
) -> HttpResponseBase:
    try:
        _refuse_over(usage)
        response = answer()
    except AppError as error:
        response = error_response(request, error)
    for header, value in _limit_headers(usage).items():
        response.headers.setdefault(header, value)
    return response


def _refuse_over(usage: dict[str, int]) -> None:
    if usage and usage["should_limit"]:
        wait = max(usage["time_left"], 1)
        error = RateLimited(f"Too many attempts in a short time. Try again in {_in_words(wait)}.")
        error.headers = {**_limit_headers(usage), "Retry-After": str(wait)}
        raise error


def _in_words(seconds: int) -> str:
    """Return a pause in words, rounded up: `a minute`, `15 minutes`, `24 hours`."""
    minutes = -(-seconds // 60)
    if minutes > MINUTES_SAID_AS_HOURS:
        return f"{-(-minutes // 60)} hours"
    return "a minute" if minutes == 1 else f"{minutes} minutes"


def _limit_headers(usage: dict[str, int]) -> dict[str, str]:
    """Return the state of a limit; its reset is in seconds since 1970."""
    if not usage:
        return {}
    return {
        "X-RateLimit-Limit": str(usage["limit"]),
        "X-RateLimit-Remaining": str(max(usage["limit"] - usage["count"], 0)),
        "X-RateLimit-Reset": str(int(time.time()) + max(usage["time_left"], 1)),
    }
