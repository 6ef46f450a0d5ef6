"""Celery's scheduler, which leaves a heartbeat: the broker has taken what it sent."""

import logging
from typing import Any

from celery.beat import PersistentScheduler
from django.db import DatabaseError, close_old_connections

from operations import heartbeats

logger = logging.getLogger(__name__)


class Scheduler(PersistentScheduler):
    """Beat writes its heartbeat by itself, so that its silence is told from the worker's."""

    def apply_async(self, *args: Any, **kwargs: Any) -> Any:
        """Send one message. Raises where the broker takes none, and then notes no heartbeat."""
        result = super().apply_async(*args, **kwargs)
        try:
            close_old_connections()
            heartbeats.beat(heartbeats.SCHEDULER)
        # The messages go out all the same.
        except DatabaseError:
            logger.exception("the scheduler's heartbeat could not be written")
        return result
