"""Requests that a browser makes ahead, for a page that its visitor may never open."""

from django.http import HttpRequest

HEADERS = ("HTTP_SEC_PURPOSE", "HTTP_PURPOSE", "HTTP_X_PURPOSE", "HTTP_X_MOZ")


def is_prefetch(request: HttpRequest) -> bool:
    """Whether nobody has asked for the page yet: such a request must change nothing at all."""
    purposes = " ".join(request.META.get(name, "") for name in HEADERS).lower()
    return "fetch" in purposes or "preview" in purposes or "prerender" in purposes
