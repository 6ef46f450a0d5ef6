"""What the settings of the shop's own addresses must be, as rules of `setting_rules`."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import validate_host


def proxies() -> Iterator[str]:
    if settings.TRUSTED_PROXY_COUNT < 0:
        yield "Set TRUSTED_PROXY_COUNT to the number of your own reverse proxies, 0 or more."


def hosts() -> Iterator[str]:
    if not settings.ALLOWED_HOSTS:
        yield (
            "Set ALLOWED_HOSTS to the names under which the shop is reached, such as"
            " learn.example.com."
        )
    for host in settings.ALLOWED_HOSTS:
        # .co.uk and .github.io are everybody's: no list of ours could know them all.
        if "*" in host or host.startswith("."):
            yield f"Name each host in ALLOWED_HOSTS; “{host}” puts others’ names into our links."


def origins() -> Iterator[str]:
    for origin in settings.CSRF_TRUSTED_ORIGINS:
        url = urlsplit(origin)
        if url.scheme != "https" or "*" in url.netloc or "." not in url.netloc.strip("."):
            yield (
                "Name each https origin of yours in CSRF_TRUSTED_ORIGINS;"
                f" “{origin}” lets others send our forms."
            )


def site_url() -> Iterator[str]:
    url = urlsplit(settings.SITE_URL)
    if url.scheme != "https" or not url.hostname or url.path or url.query or url.username:
        yield (
            "Set SITE_URL to the shop's address, https and the host only, such as"
            " https://learn.example.com."
        )
    elif settings.ALLOWED_HOSTS and not validate_host(url.hostname, settings.ALLOWED_HOSTS):
        yield f"Put {url.hostname}, the host of SITE_URL, into ALLOWED_HOSTS as well."
