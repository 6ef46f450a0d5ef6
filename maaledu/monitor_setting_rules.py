"""What the settings of cache, monitors and alerts must be, as rules of `setting_rules`."""

from collections.abc import Iterator
from ipaddress import ip_network
from urllib.parse import urlsplit

from django.conf import settings

SHORTEST_TOKEN = 20
REDIS_SCHEMES = ("redis", "rediss", "unix")
ENCODED = "In a password, / ? # and @ are written %2F %3F %23 and %40."


def monitors() -> Iterator[str]:
    if settings.MONITOR_TOKEN and len(settings.MONITOR_TOKEN) < SHORTEST_TOKEN:
        yield (
            f"Set MONITOR_TOKEN to a random text of at least {SHORTEST_TOKEN} characters, or to"
            " nothing."
        )
    for network in settings.MONITOR_NETWORKS:
        try:
            is_everybody = ip_network(network).prefixlen == 0
        except ValueError:
            is_everybody = False
            yield (
                "Set MONITOR_NETWORKS to addresses or networks such as 10.0.0.0/8, parted by"
                f" commas; “{network}” is none."
            )
        if is_everybody:
            yield f"Name your own networks in MONITOR_NETWORKS; “{network}” is everybody."


def redis_url() -> Iterator[str]:
    """What cannot be read makes each page fail, or keeps beat and workers from their broker."""
    redis, broker = settings.REDIS_URL, settings.CELERY_BROKER_URL
    if redis and not (urlsplit(redis).scheme in REDIS_SCHEMES and _has_good_port(redis)):
        yield f"Set REDIS_URL with its scheme, such as redis://127.0.0.1:6379/0. {ENCODED}"
    # A broker may be several, parted by semicolons.
    addresses = broker.split(";") if broker else []
    if not all(urlsplit(each).scheme and _has_good_port(each) for each in addresses):
        yield f"Set CELERY_BROKER_URL with its scheme, such as amqp://127.0.0.1. {ENCODED}"


def _has_good_port(url: str) -> bool:
    try:
        urlsplit(url).port  # noqa: B018 reading it validates it
    except ValueError:
        return False
    return True


def alert_channels() -> Iterator[str]:
    for name in ("SLACK_WEBHOOK_URL", "ALERT_WEBHOOK_URL"):
        url = urlsplit(getattr(settings, name))
        if url.geturl() and (url.scheme != "https" or not url.hostname):
            yield f"Set {name} to an address that begins with https://, or to nothing."
    signed = settings.ALERT_WEBHOOK_SECRET or settings.ALERT_WEBHOOK_ROUTING_KEY
    if settings.ALERT_WEBHOOK_URL and not signed:
        yield (
            "Set ALERT_WEBHOOK_SECRET, with which alerts are signed, or ALERT_WEBHOOK_ROUTING_KEY"
            " for PagerDuty: without both nobody can tell that an alert is ours."
        )
