"""How often a coupon code may be tried: per client address, and more slowly per e-mail over all addresses."""

from django.http import HttpRequest

from maaledu.addresses import client_network
from maaledu.http import enforce_limit


def count_coupon_check(request: HttpRequest, email: str) -> None:
    """Count a try of a code, hit or miss, for the client's address and, more slowly, for the e-mail."""
    enforce_limit(request, "coupon", client_network(request))
    enforce_limit(request, "coupon_email", email)
