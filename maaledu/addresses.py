"""The network address of a visitor, which they cannot forge, and redirects that stay here."""

import functools
import ipaddress
import re

from django.conf import settings
from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme

UNKNOWN = "unknown"


def client_address(request: HttpRequest) -> str:
    """Return the visitor's address: the one that the outermost of our own proxies saw.

    Each proxy appends to X-Forwarded-For, so that with n trusted ones it is the n-th entry from the
    right; the entries left of it are whatever the sender wrote. Without a proxy, or with fewer
    entries than proxies, it is the address of the connection.
    """
    remote = _address(request.META.get("REMOTE_ADDR", "")) or UNKNOWN
    count = settings.TRUSTED_PROXY_COUNT
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if count else []
    return (_address(hops[-count]) if 0 < count <= len(hops) else None) or remote


def client_network(request: HttpRequest) -> str:
    """Return what limits count by: the address, or for IPv6 its /64, which one subscriber holds
    entirely.
    """
    address = client_address(request)
    return str(ipaddress.ip_network(f"{address}/64", strict=False)) if ":" in address else address


def wider_networks(network: str) -> list[str]:
    """Return the /56 and the /48 that an IPv6 network is part of, which one subscriber may hold
    too; none for an IPv4 address.
    """
    if ":" not in network:
        return []
    known = ipaddress.ip_network(network)
    return [str(known.supernet(new_prefix=prefix)) for prefix in (56, 48)]


@functools.lru_cache(maxsize=4096)
def blur_address(address: str) -> str:
    """Return the network of an address: where load comes from, and not from which household."""
    if address == UNKNOWN:
        return address
    return str(ipaddress.ip_network(f"{address}/{48 if ':' in address else 24}", strict=False))


def is_own_path(url: str) -> bool:
    """Return whether a redirect to `url` stays on this site: a path, without any form of a host."""
    plain = url.startswith("/") and url.isprintable() and "\\" not in url
    return plain and url_has_allowed_host_and_scheme(url, allowed_hosts=None)


@functools.lru_cache(maxsize=4096)
def _address(text: str) -> str | None:
    text = text.strip()
    if bracketed := re.fullmatch(r"\[(.+)\](:\d+)?", text):
        text = bracketed[1]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)
