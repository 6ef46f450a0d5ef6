"""The one table below all apps: attempts that count while the cache does not."""

from django.db import models


class LimitCount(models.Model):
    """Attempts against one limit in one of its periods; `key` is a hash of limit, client and
    period.
    """

    key = models.CharField(max_length=64, primary_key=True)
    count = models.PositiveIntegerField(default=0)
    ends_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.key
