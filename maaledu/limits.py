"""Limit how often something may be asked for: by client, by address, by coupon."""

import functools
import time
from collections.abc import Callable, Collection
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import ngettext
from django_ratelimit.core import get_usage

from maaledu import cooldown, limit_counts, metrics
from maaledu.addresses import client_network, wider_networks
from maaledu.errors import AppError, RateLimited
from maaledu.http import error_response

View = Callable[..., HttpResponseBase]
MINUTES_SAID_AS_HOURS = 90
HOLDER = "api_key"
WIDER_FACTORS = (4, 16)  # of the limit of a /64: for its /56, which has 256 of them, and its /48


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
            usage = _count_network(request, name)
            answer = functools.partial(view, request, *args, **kwargs)
            return _answer_within(request, usage, name, answer)

        return limited

    return decorate


def answer_network(
    request: HttpRequest, name: str, answer: Callable[[], HttpResponseBase]
) -> HttpResponseBase:
    """Count the client's network as `limit` does, and return what `answer` does, or the refusal."""
    return _answer_within(request, _count_network(request, name), name, answer)


def answer_holder(
    request: HttpRequest, key: str, answer: Callable[[], HttpResponseBase], *, rate: str
) -> HttpResponseBase:
    """Count `key`, which has a rate of its own, in place of the network that it is used from."""
    return _answer_within(request, _count_at(request, HOLDER, key, rate=rate), HOLDER, answer)


def enforce_network_limit(request: HttpRequest, name: str) -> None:
    """Count one attempt of the client's network against RATE_LIMITS[name].

    Raises RateLimited over the limit.
    """
    _refuse_over(_count_network(request, name), name)


def _count_network(request: HttpRequest, name: str) -> dict[str, int]:
    """Count against the client's network, and the wider ones of IPv6 several times as generously;
    return the state of the first whose limit is exceeded, else of the narrowest.
    """
    network = client_network(request)
    usage = _count(request, name, network)
    for factor, wider in zip(WIDER_FACTORS, wider_networks(network), strict=False):
        of_wider = _count(request, name, wider, factor=factor)
        if of_wider.get("should_limit") and not usage.get("should_limit"):
            usage = of_wider
    return usage


def enforce_limit(request: HttpRequest, name: str, key: str) -> None:
    """Count one attempt against RATE_LIMITS[name] for `key`, such as an account.

    Raises RateLimited over the limit.
    """
    _refuse_over(_count(request, name, key), name)


def _count(request: HttpRequest, name: str, key: str, *, factor: int = 1) -> dict[str, int]:
    count, _, period = settings.RATE_LIMITS[name].partition("/")
    return _count_at(request, name, key, rate=f"{int(count) * factor}/{period}")


def _count_at(request: HttpRequest, name: str, key: str, *, rate: str) -> dict[str, int]:
    """Count in one atomic step in the shared cache. While it is lost it lets through, but for what
    somebody could guess: the database counts that.
    """
    usage = get_usage(request, group=name, key=lambda *_: key, rate=rate, increment=True) or {}
    if name in settings.RATE_LIMITS_ALWAYS_COUNTED and cooldown.is_lost():
        return limit_counts.count(f"{name}:{rate}:{key}", usage)
    return usage


def _answer_within(
    request: HttpRequest, usage: dict[str, int], name: str, answer: Callable[[], HttpResponseBase]
) -> HttpResponseBase:
    try:
        _refuse_over(usage, name)
        response = answer()
    except AppError as error:
        response = error_response(request, error)
    for header, value in _limit_headers(usage).items():
        response.headers.setdefault(header, value)
    return response


def _refuse_over(usage: dict[str, int], name: str) -> None:
    if usage and usage["should_limit"]:
        metrics.LIMITS.labels(name).inc()
        wait = max(usage["time_left"], 1)
        error = RateLimited(_in_words(wait))
        error.headers = {**_limit_headers(usage), "Retry-After": str(wait)}
        raise error


def _in_words(seconds: int) -> str:
    """Say when to try again, rounded up: in a minute, in 15 minutes, in 24 hours."""
    minutes = -(-seconds // 60)
    if minutes > MINUTES_SAID_AS_HOURS:
        hours = -(-minutes // 60)
        words = ngettext(
            "Too many attempts in a short time. Try again in an hour.",
            "Too many attempts in a short time. Try again in %(hours)d hours.",
            hours,
        )
        return words % {"hours": hours}
    words = ngettext(
        "Too many attempts in a short time. Try again in a minute.",
        "Too many attempts in a short time. Try again in %(minutes)d minutes.",
        minutes,
    )
    return words % {"minutes": minutes}


def _limit_headers(usage: dict[str, int]) -> dict[str, str]:
    """Return the state of a limit; its reset is in seconds since 1970."""
    if not usage:
        return {}
    return {
        "X-RateLimit-Limit": str(usage["limit"]),
        "X-RateLimit-Remaining": str(max(usage["limit"] - usage["count"], 0)),
        "X-RateLimit-Reset": str(int(time.time()) + max(usage["time_left"], 1)),
    }
