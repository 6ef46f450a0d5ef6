"""What the shop stands on: database, cache, broker, workers, and its own public address."""

import time
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import requests
from django.conf import settings
from django.db import connection
from django.utils import timezone
from django.utils.module_loading import import_string
from kombu.exceptions import OperationalError

from maaledu import cooldown
from maaledu.diagnosis import Result
from maaledu.version import VERSION
from operations import heartbeats, levels, readiness
from operations.models import RED
from payments import webhook_secrets

WEB_SECONDS = 10
CLOCKS_MOST_APART = timedelta(seconds=5)
IDLE_AFTER = timedelta(hours=1)
RUNBOOK = "The runbook has an entry by this name."


def database_serves() -> Iterator[Result]:
    """Write to the database, and look at its migrations and the static files."""
    problems = readiness.problems()
    for name in readiness.CHECKS:
        problem = problems.get(name, "")
        yield Result(name, ok=not problem, message=problem or "good")
    if connection.vendor == "postgresql":
        yield _clock()


def _clock() -> Result:
    """Compare this machine's clock with the database's: leases and limits are counted by both."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        apart = abs(timezone.now() - cursor.fetchone()[0])
    is_near = apart < CLOCKS_MOST_APART
    return Result(
        "clock",
        ok=is_near,
        message=f"{apart.total_seconds():.1f} s from the database's",
        advice="" if is_near else "Set both clocks by NTP.",
    )


def cache_serves() -> Iterator[Result]:
    """Put something into the cache and read it back."""
    if not settings.REDIS_URL:
        yield Result("Redis", ok=True, is_note=True, message="none: for one web process only")
        return
    state = readiness.cache_state()
    lost = state != "ok" or cooldown.is_lost()
    yield Result(
        "Redis",
        ok=not lost,
        message="lost or full: pages are made each time, few limits count" if lost else "good",
        advice="Start it, or give it room (maxmemory), and look at REDIS_URL." if lost else "",
    )


def broker_serves() -> Iterator[Result]:
    """Connect to the broker as beat does, and look how long its queue is."""
    if not settings.CELERY_BROKER_URL:
        yield Result("broker", ok=True, is_note=True, message="none: the worker polls")
        return
    app = import_string("maaledu.celery.app")
    try:
        with app.connection_for_write() as broker:
            broker.ensure_connection(max_retries=1, timeout=5)
            channel = broker.default_channel
            waiting = channel.queue_declare(app.conf.task_default_queue).message_count
    except (OperationalError, OSError) as error:
        yield Result(
            "broker",
            ok=False,
            message=f"cannot be used: {error}",
            advice="Start it, or correct CELERY_BROKER_URL. Meanwhile no worker is called.",
        )
        return
    full = waiting >= settings.BROKER_LONGEST_QUEUE
    yield Result("broker", ok=not full, message=f"{waiting} messages wait in it")


def work_gets_done() -> Iterator[Result]:
    """Say each cause that keeps the alert level from green."""
    reasons = [reason for reason in levels.assess() if reason.cause != "disk"]
    for reason in reasons:
        yield Result(
            levels.TITLES[reason.cause],
            ok=reason.level != RED,
            is_note=reason.level != RED,
            message=reason.text,
            advice=RUNBOOK,
        )
    if not reasons:
        yield Result("level", ok=True, message="green")


def secrets_are_used() -> Iterator[Result]:
    """Say of several signing secrets which one is not needed any more."""
    secrets = settings.STRIPE_WEBHOOK_SECRETS
    if len(secrets) == 1:
        return
    uses = [webhook_secrets.last_use(secret) for secret in secrets]
    newest = max(filter(None, uses), default=None)
    for number, at in enumerate(uses, start=1):
        is_idle = newest and (at is None or newest - at > IDLE_AFTER)
        yield Result(
            f"secret {number}",
            ok=True,
            is_note=True,
            message=f"last used {at:%Y-%m-%d %H:%M} UTC" if at else "not used within a week",
            advice="Take it out of STRIPE_WEBHOOK_SECRET: the other one is used."
            if is_idle
            else "",
        )


def web_serves_this_release() -> Iterator[Result]:
    """Ask the shop at its own public address, through TLS and proxy, which release answers."""
    url = f"{settings.SITE_URL}/health/ready"
    try:
        answer = requests.get(url, timeout=WEB_SECONDS, allow_redirects=False)
        version = answer.json().get("version", "")
    except (requests.RequestException, ValueError, AttributeError) as error:
        yield Result(
            "address",
            ok=False,
            message=f"{url} does not answer as we do: {type(error).__name__}: {error}"[:200],
            advice="Look at the web process, the proxy and its certificate, and at SITE_URL.",
        )
        return
    is_this = version == VERSION
    advice = "" if is_this else "Restart the web processes, or run this in the release that serves."
    yield Result(
        "release", ok=is_this, message=f"{url} says {version}, here {VERSION}", advice=advice
    )
    if answer.status_code != requests.codes.ok:
        yield Result("ready", ok=False, message=f"{url} answered {answer.status_code}")


def proxy_stands_in_front() -> Iterator[Result]:
    """Look who answers at the public address: slow senders would hold each thread of gunicorn.

    And whether it says that visitors come by https: the addresses of health do not depend on it.
    """
    url = f"{settings.SITE_URL}/robots.txt"
    try:
        answer = requests.get(url, timeout=WEB_SECONDS, allow_redirects=False)
    except requests.RequestException:
        return  # which the web's own part says
    server = answer.headers.get("Server", "")
    is_bare = server.startswith("gunicorn")
    yield Result(
        "proxy",
        ok=not (is_bare and settings.PRODUCTION),
        is_note=is_bare,
        message="gunicorn answers visitors itself" if is_bare else f"{server or 'it'} answers",
        advice="Put nginx in front: deployment guide, part 4." if is_bare else "",
    )
    if urlsplit(answer.headers.get("Location", ""))[1:] == urlsplit(url)[1:]:
        yield Result(
            "https",
            ok=False,
            message="every page and webhook leads to itself, for ever",
            advice=(
                "Have the proxy set X-Forwarded-Proto, and TRUSTED_PROXY_COUNT to how many there"
                " are: deployment guide, part 4."
            ),
        )


def wait_until_ready(seconds: float) -> bool:
    """Return whether the shop answers at its address within this time, as this release, and a
    worker and a scheduler were seen: after a first start they come a little later.
    """
    until = time.monotonic() + seconds
    while not (all(result.ok for result in web_serves_this_release()) and _work_was_seen()):
        if time.monotonic() > until:
            return False
        time.sleep(1)
    return True


def _work_was_seen() -> bool:
    causes = {reason.cause for reason in levels.assess()}
    return not causes & {heartbeats.WORKER, heartbeats.SCHEDULER}
