"""How often a coupon code may be tried: per client address, and more slowly per e-mail address.

The slow limit does not count visitors from the link in the grant's e-mail. Strangers, who need only
the address, could use it up and keep its holder from the coupon for a day. The page gives the
link's visitor a proof, which exempts this one code with this one address, so that nothing can be
guessed with it.
"""

from collections.abc import Mapping

from django.http import HttpRequest
from django.utils.crypto import constant_time_compare, salted_hmac

from grants.codes import normalize_code
from maaledu.limits import enforce_limit, enforce_network_limit


def count_coupon_check(request: HttpRequest, tried: Mapping[str, str]) -> None:
    """Count a try of a code for the client's address and, without a proof, for the e-mail.

    `tried` holds `email` in its normal form, `coupon`, and `proof` when there is one. Raises
    RateLimited.
    """
    enforce_network_limit(request, "coupon")
    count_code_for_email(request, tried)


def count_code_for_email(request: HttpRequest, tried: Mapping[str, str]) -> None:
    """Count a try for the e-mail address alone, where the client's is counted already."""
    email = tried["email"]
    if not constant_time_compare(tried.get("proof", ""), proof_of(email, tried["coupon"])):
        enforce_limit(request, "coupon_email", email)


def proof_of(email: str, code: str) -> str:
    """Return the proof that this address and this code came from a grant's link together."""
    return salted_hmac(
        "grants.coupon_limits", f"{normalize_code(code)} {email}", algorithm="sha256"
    ).hexdigest()
