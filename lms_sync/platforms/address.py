"""Which address the LMS may have.

A base URL is checked when it is configured, and the addresses that it resolves to at every connect,
so that a name that later points into our network is refused as well (contracts/reliability, row
83).
"""

import ipaddress
import re
import socket
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from lms_sync.errors import LmsMisconfigured, LmsUnavailable

_HOST_NAME = re.compile(
    r"\A(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z]([a-z0-9-]*[a-z0-9])?\Z", re.IGNORECASE
)


def check_base_url(url: str, *, setting: str = "FRAPPE_LMS_BASE_URL") -> None:
    """Raise LmsMisconfigured, with what to set, unless `url` can be the LMS's base URL."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 reading it validates it
    except ValueError as error:
        raise LmsMisconfigured(f"{setting} is not a web address.") from error
    problem = _form_problem(url, parts) or _host_problem(parts)
    if problem:
        raise LmsMisconfigured(f"{setting} {problem}")


def check_key(key: str) -> None:
    """Raise LmsMisconfigured unless the key has the form `key:secret`.

    Frappe answers a malformed key as if a guest had asked, without an error.
    """
    name, _, secret = key.partition(":")
    if not name or not secret or not key.isascii() or not key.isprintable() or " " in key:
        raise LmsMisconfigured(
            "FRAPPE_LMS_API_KEY must be key:secret, as shown in the LMS under User, API Access."
        )


def check_application(client_id: str, secret: str) -> None:
    """Raise LmsMisconfigured unless both could belong to an OAuth application of Open edX."""
    for name, text in (("OPENEDX_CLIENT_ID", client_id), ("OPENEDX_CLIENT_SECRET", secret)):
        if not text or not text.isascii() or not text.isprintable() or " " in text:
            raise LmsMisconfigured(
                f"{name} must be the one of the OAuth application in Open edX (Django admin,"
                " Applications)."
            )


def _form_problem(url: str, parts: SplitResult) -> str:
    checks = (
        (not url, "is empty: set it to the address of the LMS, such as https://learn.example.org."),
        (parts.scheme not in ("http", "https"), "must start with https://."),
        (
            settings.PRODUCTION and parts.scheme != "https",
            "must start with https:// in production.",
        ),
        ("@" in parts.netloc, "must not contain a user name or a password."),
        ("?" in url or "#" in url, "must not contain '?' or '#'."),
        (
            not url.isprintable() or " " in url or "\\" in url,
            "contains a character that no address has.",
        ),
    )
    return next((problem for failed, problem in checks if failed), "")


def _host_problem(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if is_private(host):
        return (
            ""
            if may_be_private(host)
            else "names a private address, which is not allowed in production."
        )
    if _is_address(host) or _HOST_NAME.match(host):
        return ""
    return "does not name a host."


def check_resolved(host: str, addresses: Iterable[str]) -> None:
    """Raise LmsMisconfigured when a host resolves to a private address that is not allowed."""
    if not may_be_private(host) and any(is_private(address) for address in addresses):
        raise LmsMisconfigured(
            f"The host {host} resolves to a private address. List it in LMS_PRIVATE_HOSTS if that"
            " is meant."
        )


def look_up(url: str) -> str:
    """Say which addresses the host of a URL has. Raises LmsError where it has none we may use."""
    host = urlsplit(url).hostname or ""
    try:
        addresses = sorted(
            {str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
        )
    except OSError as error:
        raise LmsUnavailable(f"The host name {host} could not be resolved.", kind="dns") from error
    check_resolved(host, addresses)
    return f"{host} is {', '.join(addresses)}"


def may_be_private(host: str) -> bool:
    return not settings.PRODUCTION or host in settings.LMS_PRIVATE_HOSTS


def is_private(host: str) -> bool:
    """Return whether an address is not public; an IPv4 one inside an IPv6 one counts as itself."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")
    embedded = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    return not (embedded or address).is_global or address.is_multicast


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
