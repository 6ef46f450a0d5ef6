"""Redis as a cache that may be lost: while it is down the shop is slower and its limits are open,
but it is not closed.
"""

import functools
import logging
import time
from collections.abc import Callable
from typing import Any, ClassVar

from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis import Redis
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

LEAVE_ALONE_SECONDS = 3.0


class Rest:
    """Until when this process leaves a lost Redis alone."""

    until: ClassVar[float] = 0.0


def _or(answer: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give `answer` instead when Redis does not answer, and do not ask again for a moment: a hang
    must not add up.
    """

    def decorate(ask: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(ask)
        def asked(self: RedisCache, *args: Any, **kwargs: Any) -> Any:
            if time.monotonic() < Rest.until:
                return answer(*args, **kwargs)
            try:
                return ask(self, *args, **kwargs)
            except RedisError as error:
                Rest.until = time.monotonic() + LEAVE_ALONE_SECONDS
                logger.exception(
                    "the cache is down; limits are not counted until it is back",
                    extra={"error": type(error).__name__},
                )
                return answer(*args, **kwargs)

        return asked

    return decorate


def _default(key: str, default: Any = None, version: int | None = None) -> Any:
    return default


def _nothing(*args: Any, **kwargs: Any) -> None:
    return None


def _no(*args: Any, **kwargs: Any) -> bool:
    return False


def _yes(*args: Any, **kwargs: Any) -> bool:
    return True


def _empty(*args: Any, **kwargs: Any) -> dict[str, Any]:
    return {}


def _one(*args: Any, **kwargs: Any) -> int:
    return 1


class KeptClient(RedisCacheClient):
    """Django makes a new client object for every command, which costs more than the command;
    clients may be kept.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kept: dict[int, Redis] = {}

    def get_client(self, key: Any = None, *, write: bool = False) -> Redis:
        index = self._get_connection_pool_index(write)  # type: ignore[attr-defined]
        if index not in self._kept:
            self._kept[index] = super().get_client(key, write=write)
        return self._kept[index]


class ForgivingRedisCache(RedisCache):
    """A lost Redis reads as empty; `add` succeeds, so that a first attempt, and every one after it,
    is let through.
    """

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = KeptClient

    get = _or(_default)(RedisCache.get)
    get_many = _or(_empty)(RedisCache.get_many)
    set = _or(_nothing)(RedisCache.set)
    set_many = _or(lambda *args, **kwargs: [])(RedisCache.set_many)
    add = _or(_yes)(RedisCache.add)
    incr = _or(_one)(RedisCache.incr)
    touch = _or(_no)(RedisCache.touch)
    delete = _or(_no)(RedisCache.delete)
    delete_many = _or(_nothing)(RedisCache.delete_many)
    has_key = _or(_no)(RedisCache.has_key)
