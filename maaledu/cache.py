"""Redis as a cache that may be lost: while it is down or full, pages are slower, and only limits on
guessing are counted, by the database (maaledu.limit_counts).
"""

import logging
from typing import Any

from django.core.cache.backends.base import BaseCache
from django_redis.cache import RedisCache
from redis import Redis
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import RedisError

from maaledu import cooldown

logger = logging.getLogger(__name__)


class CoolingRedis(Redis):
    """A client that raises ConnectionLost for any failure.

    After one it does so for a while (maaledu.cooldown) without asking: a request reads the cache
    several times, and would otherwise wait for each timeout.
    """

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if cooldown.is_lost():
            raise ConnectionLost
        try:
            return super().execute_command(*args, **options)
        except RedisError as error:
            cooldown.begin()
            logger.exception(
                "the cache is down or full; the database counts what must be limited",
                extra={"error": type(error).__name__},
            )
            raise ConnectionLost from error


class ForgivingRedisCache(RedisCache):
    """A cache that reads as empty while Redis is lost.

    `add` succeeds and `incr` returns 1 then, so that a limit counts every attempt as the first.
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
