"""The Celery app, which wakes worker processes; the queue itself is in the database (maaledu.work).

The settings are those of contracts/reliability, section 5: a lost message delays a job until the
next sweep and loses nothing, a broker that hangs blocks no request, and retries are rows of the
table, never a countdown.
"""

import logging
import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_init
from django.conf import settings
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "maaledu.settings")

QUEUE = "work"
TASK = "operations.drain"
MESSAGE_LIFETIME_SECONDS = 10


class BoundedCelery(Celery):
    """Sends nothing to a queue that nobody empties: a broker that is full of messages of dead
    workers has no room left for the limits and pages that it keeps as the cache.

    What is not sent is lost as any message may be: the sweep runs what is due.
    """

    def send_task(self, *args: Any, **options: Any) -> Any:
        """Return None where nothing was sent."""
        if self._is_full():
            logger.warning("not sent: the broker's queue is full", extra={"queue": QUEUE})
            return None
        return super().send_task(*args, **options)

    def _is_full(self) -> bool:
        with self.producer_pool.acquire(block=True) as producer:
            connection = producer.connection
            try:
                declared = producer.channel.queue_declare(QUEUE, passive=True)
            # Nothing was ever sent, or the broker is lost, which sending will say.
            except (*connection.channel_errors, *connection.connection_errors):
                return False
        return declared.message_count >= settings.BROKER_LONGEST_QUEUE


app = BoundedCelery("maaledu")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["operations"])
app.conf.update(
    result_backend=None,
    task_ignore_result=True,
    task_default_queue=QUEUE,
    task_acks_late=False,
    task_reject_on_worker_lost=False,
    task_time_limit=None,
    task_publish_retry=True,
    task_publish_retry_policy={
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0.1,
        "interval_max": 0.1,
    },
    task_serializer="json",
    accept_content=["json"],
    worker_prefetch_multiplier=1,
    worker_soft_shutdown_timeout=15,
    worker_max_tasks_per_child=500,
    worker_cancel_long_running_tasks_on_connection_loss=True,
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    beat_scheduler="operations.beat:Scheduler",
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_channel_error_retry=True,
    broker_transport_options={
        "visibility_timeout": 120,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
        "socket_timeout": 2,
        "socket_connect_timeout": 1,
        "socket_keepalive": True,
    },
)


def call_workers(queue_name: str) -> None:
    """Send a message that the queue has work. One that is lost is harmless: the sweep runs what is
    due.
    """
    try:
        app.send_task(TASK, args=[queue_name], expires=MESSAGE_LIFETIME_SECONDS, ignore_result=True)
    except (OperationalError, OSError) as error:
        logger.warning(
            "workers could not be notified",
            extra={"queue": queue_name, "error": type(error).__name__},
        )


@setup_logging.connect
def _leave_logs_alone(**_: object) -> None:
    """Keep the level of the settings: Celery would set its own, and drop what workers report."""


@worker_init.connect
def _refuse_unsafe_start(**_: object) -> None:
    app.loader.import_from_cwd("maaledu.checks").refuse_unsafe_start()
