"""`?ref=<code>` on any page: counted, kept in a cookie, and removed from the request's address.

So is `via`, an affiliate's own label of the link.

It runs before the cache of public pages, so that these are the same bytes with and without it.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote_plus

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponseBase

from affiliates import attribution, labels, visits
from affiliates.models import Affiliate
from maaledu.addresses import client_network
from maaledu.errors import RateLimited
from maaledu.limits import enforce_network_limit
from maaledu.prefetching import is_prefetch

logger = logging.getLogger(__name__)

PARAMETER, LABEL_PARAMETER = "ref", "via"
MAX_QUERY_LENGTH = 32 * 1024
# Programs that say so, among them those that fetch a link which somebody shares. Cubot is a brand
# of telephones.
ROBOT = re.compile(
    r"(?<!cu)bot\b|crawl|spider|slurp|preview|fetch|scan|monitor|headless|lighthouse|archiver"
    r"|embedly|iframely|externalhit|externalagent|^whatsapp|curl|wget|python|java/|go-http|okhttp"
    r"|httpclient|axios|undici|libwww",
    re.IGNORECASE,
)
# What is appended to an address that has a query already: `/?q=data?ref=CODE`.
SECOND_QUERY = re.compile(rf"\?(?=(?:{PARAMETER}|{LABEL_PARAMETER})=)", re.IGNORECASE)
COURSE_PATH = re.compile(r"/courses/([a-z0-9-]{1,140})/")


@dataclass(frozen=True)
class Followed:
    """Whose link a visitor came through, if anybody's, and the cookie to set, if any."""

    affiliate: Affiliate | None
    cookie: str
    label: str = ""


@dataclass(frozen=True)
class Link:
    """What a link says: a code or, in old links, an address, and a label, if any."""

    named: str
    label: str = ""


class ReferralMiddleware:
    """Move the referral from the request's address to a cookie of the response."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        is_page = request.method in ("GET", "HEAD") and not _is_redirected(request)
        link = _pop_referral(request) if is_page else None
        if link is None:
            return self.get_response(request)
        followed = follow(request, link)
        response = self.get_response(request)
        return keep(request, response, followed, _course_shown(request, response))


def _is_redirected(request: HttpRequest) -> bool:
    """Whether the visitor is redirected to https, and comes back with the whole address."""
    return settings.SECURE_SSL_REDIRECT and not request.is_secure()


def _pop_referral(request: HttpRequest) -> Link | None:
    """Remove every `ref` and its `via` from the query and return the last of each.

    None without a `ref`: `via` alone is somebody else's parameter.
    """
    query = request.META.get("QUERY_STRING", "")
    # Nearly every request ends here, without parsing its query.
    if f"{PARAMETER}=" not in query.lower() or len(query) > MAX_QUERY_LENGTH:
        return None
    parts = SECOND_QUERY.sub("&", query).split("&")
    ours: dict[str, str] = {}
    others = []
    for part in parts:
        name, _, value = part.partition("=")
        # `&amp;ref=` is a link that was copied out of a page's source.
        name = unquote_plus(name).lower().removeprefix("amp;")
        if name in (PARAMETER, LABEL_PARAMETER):
            ours[name] = unquote_plus(value)
        else:
            others.append(part)
    if PARAMETER not in ours:
        return None
    request.META["QUERY_STRING"] = "&".join(others)
    return Link(ours[PARAMETER], ours.get(LABEL_PARAMETER, ""))


def _course_shown(request: HttpRequest, response: HttpResponseBase) -> str:
    match = COURSE_PATH.fullmatch(request.path)
    return match[1] if match and response.status_code == 200 else ""


def follow(request: HttpRequest, link: Link) -> Followed | None:
    """Return whose link a visitor came through, and set the cookie on this request as well.

    None for a code that is nobody's; an address that is nobody's is answered like any other. A
    database error is logged, and the page is shown all the same.
    """
    if is_robot(request):
        return None
    by_address = bool(attribution.address_in(link.named))
    label = labels.clean(link.label)
    before = request.COOKIES.get(settings.REFERRAL_COOKIE_NAME, "")
    try:
        affiliate = _find(request, link.named, by_address=by_address)
        cookie = (
            attribution.next_cookie(before, affiliate, by_address=by_address, label=label)
            if affiliate or by_address
            else ""
        )
    except (DatabaseError, InterfaceError):
        logger.exception("a referral could not be looked up")
        return None
    if cookie:
        request.COOKIES[settings.REFERRAL_COOKIE_NAME] = cookie
    return Followed(affiliate, cookie, label) if affiliate or cookie else None


def _find(request: HttpRequest, named: str, *, by_address: bool) -> Affiliate | None:
    """Return the active affiliate of a link, none beyond the limit of addresses per visitor."""
    try:
        if by_address:
            enforce_network_limit(request, "referral_address")
    except RateLimited:
        return None
    affiliate = attribution.find(named)
    return affiliate if affiliate and affiliate.is_active else None


def keep(
    request: HttpRequest, response: HttpResponseBase, followed: Followed | None, course_slug: str
) -> HttpResponseBase:
    """Count the visit and set the cookie on the response to a link."""
    # Also without a cookie: a shared cache would give a robot's response to the next visitor, who
    # would then get none.
    response["Cache-Control"] = "private, no-store"
    if followed and followed.affiliate:
        _count(request, followed.affiliate, course_slug, followed.label)
    if followed and followed.cookie:
        set_cookie(response, settings.REFERRAL_COOKIE_NAME, followed.cookie)
    return response


def _count(request: HttpRequest, affiliate: Affiliate, course_slug: str, label: str) -> None:
    agent, network = request.META.get("HTTP_USER_AGENT", ""), client_network(request)
    try:
        visits.record(affiliate.pk, course_slug, network=network, user_agent=agent, label=label)
    except (DatabaseError, InterfaceError):
        logger.exception("a referral was not counted")


def is_robot(request: HttpRequest) -> bool:
    """Whether no person is looking: a program by its name, a prefetch, or a HEAD request."""
    agent = request.META.get("HTTP_USER_AGENT", "")
    return (
        request.method == "HEAD" or not agent or is_prefetch(request) or bool(ROBOT.search(agent))
    )


def set_cookie(response: HttpResponseBase, name: str, text: str) -> None:
    response.set_cookie(
        name,
        text,
        max_age=settings.ATTRIBUTION_LIFETIME,
        secure=settings.PRODUCTION,
        httponly=True,
        samesite="Lax",
    )


def mark_browser(response: HttpResponseBase, affiliate: Affiliate) -> None:
    """Mark the affiliate's own browser, to flag sales made in it."""
    set_cookie(response, settings.PARTNER_COOKIE_NAME, attribution.seal_partner(affiliate.code))
