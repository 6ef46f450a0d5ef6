"""Who may see details: a member of staff, or a monitor with the token or of our own networks."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from accounts import second_factor
from maaledu.addresses import UNKNOWN, client_address


def may_see_details(request: HttpRequest) -> bool:
    """Whether the request is a monitor's, or comes from a member of staff as in the office."""
    # Asked last: it reads the session, and a monitor must work while the database is down.
    return is_monitor(request) or second_factor.may_enter_office(request)


def is_monitor(request: HttpRequest) -> bool:
    return _has_token(request) or _is_near(client_address(request))


def _has_token(request: HttpRequest) -> bool:
    sent = request.headers.get("Authorization", "")
    token = settings.MONITOR_TOKEN
    return bool(token) and constant_time_compare(sent, f"Bearer {token}")


def _is_near(address: str) -> bool:
    return address != UNKNOWN and any(
        ipaddress.ip_address(address) in ipaddress.ip_network(network)
        for network in settings.MONITOR_NETWORKS
    )
