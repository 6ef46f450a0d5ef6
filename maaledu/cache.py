"""Redis as a cache that may be lost: while it is down the shop is slower and its limits are open,
but it is not closed.
"""

import logging
import time
from typing import Any

from django.core.cache.backends.base import BaseCache
from django_redis.cache import RedisCache
from redis import Redis
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

LEAVE_ALONE_SECONDS = 3.0


class Cooldown:
    """Until when this process leaves a lost Redis alone."""

    until = 0.0


class CoolingRedis(Redis):
    """Raises ConnectionLost for any failure, and for a moment after one without asking: a hang must
    not add up.
    """

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if time.monotonic() < Cooldown.until:
            raise ConnectionLost
        try:
            return super().execute_command(*args, **options)
        except RedisError as error:
            Cooldown.until = time.monotonic() + LEAVE_ALONE_SECONDS
            logger.exception(
                "the cache is down; limits are not counted until it is back",
                extra={"error": type(error).__name__},
            )
            raise ConnectionLost from error


class ForgivingRedisCache(RedisCache):
    """A lost Redis reads as empty; `add` succeeds, so that a first attempt, and every one after it,
    is let through.

    django-redis ignores ConnectionLost and returns None for it, except in `touch`, which raises it.
    """

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        forgiving = {"IGNORE_EXCEPTIONS": True, "REDIS_CLIENT_CLASS": "maaledu.cache.CoolingRedis"}
        super().__init__(server, {**params, "OPTIONS": {**params.get("OPTIONS", {}), **forgiving}})

    def add(self, *args: Any, **kwargs: Any) -> bool:
        return super().add(*args, **kwargs) is not False

    def incr(self, *args: Any, **kwargs: Any) -> int:
        count = super().incr(*args, **kwargs)
        return 1 if count is None else count

    def touch(self, *args: Any, **kwargs: Any) -> bool:
        try:
            return super().touch(*args, **kwargs)
        except ConnectionLost:
            return False

    def delete(self, *args: Any, **kwargs: Any) -> bool:
        return bool(super().delete(*args, **kwargs))

    def has_key(self, *args: Any, **kwargs: Any) -> bool:
        return bool(super().has_key(*args, **kwargs))

    # One by one: a pipeline would not go through CoolingRedis.execute_command.
    set_many = BaseCache.set_many
