"""Fields of tables of other apps on MongoDB, which has no counters for keys."""

import secrets
from typing import Any

from django.db import models

HIGHEST = 2**53  # the numbers that JavaScript can read


class RandomKeyField(models.BigAutoField):
    """A number by chance as key, for an app that takes its keys for numbers."""

    def get_internal_type(self) -> str:
        return "BigIntegerField"

    def get_pk_value_on_save(self, instance: Any) -> int:
        return 1 + secrets.randbelow(HIGHEST - 1)
