"""How often a coupon code may be tried: per client address, and more slowly per e-mail over all
addresses.

The slow limit is not for whoever came through the link of the grant's e-mail: strangers could use
it up with the address alone, and keep its holder from the coupon for a day. The page gives the
link's visitor a proof, which lets through this one code with this one address, so that there is
nothing to guess with it.
"""

from collections.abc import Mapping

from django.http import HttpRequest
from django.utils.crypto import constant_time_compare, salted_hmac

from grants.codes import normalize_code
from maaledu.addresses import client_network
from maaledu.limits import enforce_limit


def count_coupon_check(request: HttpRequest, tried: Mapping[str, str]) -> None:
    """Count a try of a code, hit or miss, for the client's address and, without a proof, more
    slowly for the e-mail.

    `tried` holds `email` in its normal form, `coupon`, and `proof` where there is one. Raises
    RateLimited.
    """
    email = tried["email"]
    enforce_limit(request, "coupon", client_network(request))
    if not constant_time_compare(tried.get("proof", ""), proof_of(email, tried["coupon"])):
        enforce_limit(request, "coupon_email", email)


def proof_of(email: str, code: str) -> str:
    """Return what shows that this address and this code came together out of a grant's link."""
    return salted_hmac(
        "storefront.coupon_limits", f"{normalize_code(code)} {email}", algorithm="sha256"
    ).hexdigest()
