"""Cache whole pages that are the same for every visitor, until something they show has changed.

An entry carries the version it was made under; `bump_public_pages` changes the version, which makes
every older entry invalid. A process uses an entry again for PUBLIC_PAGE_RECHECK, a second, without
reading the version: a change made by another process may show that much later.
"""

import functools
import gzip
import hashlib
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.cache import caches
from django.core.exceptions import DisallowedHost
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from maaledu import metrics
from maaledu.version import VERSION

logger = logging.getLogger(__name__)

VERSION_KEY = "public-pages"
PARAMETERS = frozenset({"q", "category", "level", "price", "cursor", "limit", "v"})
MAX_QUERY_LENGTH = 400
MAX_PAGE_BYTES = 512 * 1024
BROWSER_SECONDS = 60
COMPRESSION = 6
NOT_TAKEN = ("q=0", "q=0.0", "q=0.00", "q=0.000")
MOST_CACHED = 64

# A page names style sheets of its own release; one of another release may have them no more.
RELEASE = f"{VERSION}-{getattr(staticfiles_storage, 'manifest_hash', '')}"
# Its headers, its content, and the content compressed.
Page = tuple[dict[str, str], bytes, bytes]
_cached: dict[str, tuple[float, Page]] = {}


def public_page(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Mark the view's GET response as identical for every visitor, so that it may be cached."""

    @functools.wraps(view)
    def marked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        response.is_public_page = request.method == "GET"  # type: ignore[attr-defined]
        return response

    return marked


def bump_public_pages() -> None:
    """Make every page that was rendered before this transaction's commit invalid."""
    transaction.on_commit(_new_version)


def _new_version() -> None:
    _cached.clear()
    caches["pages"].set(VERSION_KEY, uuid.uuid4().hex, None)


def _first_version() -> str | None:
    """Ensure that there is a version, and return it; None while the cache is lost."""
    caches["pages"].add(VERSION_KEY, uuid.uuid4().hex, None)
    return caches["pages"].get(VERSION_KEY)


@dataclass
class Slot:
    """The entry of one address: its key, the version in force, and its page if that is valid."""

    key: str
    version: str | None
    page: Page | None


def find(request: HttpRequest) -> Slot | None:
    """Look an address up in one round trip at most; None when it is not for the cache."""
    key = _key(request)
    if key is None:
        return None
    until, page = _cached.get(key, (0.0, None))
    return Slot(key, None, page) if time.monotonic() < until else _look_up(key)


def _look_up(key: str) -> Slot:
    found = caches["pages"].get_many([VERSION_KEY, key])
    version, entry = found.get(VERSION_KEY) or _first_version(), found.get(key)
    if entry is None or entry[0] != version:
        return Slot(key, version, None)
    page = entry[1:]
    if settings.PUBLIC_PAGE_RECHECK:
        _keep_cached(key, page)
    return Slot(key, version, page)


def _keep_cached(key: str, page: Page) -> None:
    if len(_cached) >= MOST_CACHED:
        _cached.clear()
    _cached[key] = (time.monotonic() + settings.PUBLIC_PAGE_RECHECK.total_seconds(), page)


def keep(slot: Slot, response: HttpResponse) -> None:
    """Store a page under the version that was in force before it was rendered.

    Under the version after it, a page rendered from data that changed meanwhile would be served.
    """
    metrics.CACHE_MISSES.inc()
    if slot.version is None or not _is_keepable(response):
        return
    lifetime = settings.PUBLIC_PAGE_LIFETIME.total_seconds()
    packed = gzip.compress(response.content, COMPRESSION, mtime=0)
    entry = (slot.version, dict(response.items()), response.content, packed)
    caches["pages"].set(slot.key, entry, lifetime)


def answer(page: Page, request: HttpRequest) -> HttpResponse:
    """Return a kept page, compressed for whoever takes that.

    Only pages that are the same for everybody are: the length of one with a secret in it would tell
    of the secret to whoever can put text into it.
    """
    headers, content, packed = page
    if not _takes_gzip(request.META.get("HTTP_ACCEPT_ENCODING", "")):
        return HttpResponse(content, headers=headers)
    length = {"Content-Encoding": "gzip", "Content-Length": str(len(packed))}
    return HttpResponse(packed, headers={**headers, **length})


@functools.lru_cache(maxsize=256)
def _takes_gzip(accepted: str) -> bool:
    codings = dict(coding.strip().partition(";")[::2] for coding in accepted.lower().split(","))
    return "gzip" in codings and codings["gzip"].strip().replace(" ", "") not in NOT_TAKEN


def _is_keepable(response: HttpResponse) -> bool:
    if response.status_code != 200 or response.streaming or len(response.content) > MAX_PAGE_BYTES:
        return False
    personal = bool(response.cookies) or "cookie" in response.get("Vary", "").lower()
    if personal:
        logger.error("a page marked public depends on its visitor; it is not kept")
    return not personal


def _key(request: HttpRequest) -> str | None:
    query = request.META.get("QUERY_STRING", "")
    if (
        request.method not in ("GET", "HEAD")
        or len(query) > MAX_QUERY_LENGTH
        or "HTTP_HX_REQUEST" in request.META
    ):
        return None
    normal = _normal_query(query) if query else ""
    try:
        host = request.get_host()
    except DisallowedHost:
        return None
    if normal is None:
        return None
    address = f"{RELEASE}:{request.scheme}://{host}{request.path}?{normal}"
    return hashlib.blake2b(address.encode(), digest_size=16).hexdigest()


def _normal_query(query: str) -> str | None:
    """Return the parameters in one order; None for an unknown one, or one given twice."""
    pairs = parse_qsl(query, errors="replace")
    names = [name for name, _value in pairs]
    known = PARAMETERS.issuperset(names) and len(set(names)) == len(names)
    return urlencode(sorted(pairs)) if known else None
