"""What the settings of the database must be; see `setting_rules`."""

from collections.abc import Iterator

from django.conf import settings

# Of the embedded worker, beside those for the LMS: the other queues, sweep, LMS chores and watch.
OTHER_WORKER_THREADS = 7


def pool() -> Iterator[str]:
    """Each thread of a process needs a connection of its own, or gives up when it finds none."""
    if settings.DATABASE_URL.startswith("sqlite"):
        return
    most, threads = settings.DATABASE_POOL_MAX, settings.LMS_WORKER_THREADS + OTHER_WORKER_THREADS
    if most < threads:
        yield (
            f"Set DATABASE_POOL_MAX to {threads} or more for LMS_WORKER_THREADS="
            f"{settings.LMS_WORKER_THREADS}; it is {most}."
        )
    if most < settings.DATABASE_POOL_MIN:
        yield f"Set DATABASE_POOL_MIN to {most} or less, as DATABASE_POOL_MAX is."
