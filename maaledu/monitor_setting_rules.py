"""What the settings of cache, monitors and alerts must be, as rules of `setting_rules`."""

from collections.abc import Iterator
from ipaddress import ip_network
from urllib.parse import urlsplit

from django.conf import settings

SHORTEST_TOKEN = 20
REDIS_SCHEMES = ("redis", "rediss", "unix")


def monitors() -> Iterator[str]:
    if settings.MONITOR_TOKEN and len(settings.MONITOR_TOKEN) < SHORTEST_TOKEN:
        yield (
            f"Set MONITOR_TOKEN to a random text of at least {SHORTEST_TOKEN} characters, or to"
            " nothing."
        )
    for network in settings.MONITOR_NETWORKS:
        try:
            ip_network(network)
        except ValueError:
            yield (
                "Set MONITOR_NETWORKS to addresses or networks such as 10.0.0.0/8, parted by"
                f" commas; “{network}” is none."
            )


def redis_url() -> Iterator[str]:
    if settings.REDIS_URL and urlsplit(settings.REDIS_URL).scheme not in REDIS_SCHEMES:
        yield "Set REDIS_URL with its scheme, such as redis://127.0.0.1:6379/0."


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
