"""What every request passes: its id and log line, cached public pages, our headers, our errors."""

import logging
import re
import time
import uuid
from collections.abc import Callable

import structlog
from csp.utils import build_policy
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed

from maaledu import public_pages
from maaledu.addresses import blur_address, client_address
from maaledu.errors import AppError, BadRequest, MethodNotAllowed
from maaledu.http import error_response
from maaledu.logs import ACCESS

access_log = logging.getLogger(ACCESS)

GetResponse = Callable[[HttpRequest], HttpResponseBase]
WELL_FORMED_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{7,63}")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
PUBLIC_CACHE_CONTROL = f"public, max-age={public_pages.BROWSER_SECONDS}"
HEADERS = {
    "Permissions-Policy": "geolocation=(), microphone=(), camera=()",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


class RequestContextMiddleware:
    """Give a request an id, for its log lines and its response, and write its access line."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        request_id = _request_id(request.META.get("HTTP_X_REQUEST_ID", ""))
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        response = self.get_response(request)
        response["X-Request-ID"] = request_id
        if not response.has_header("Cache-Control"):
            response["Cache-Control"] = "no-store"
        _write_access_line(request, response, request_id, time.perf_counter() - started)
        return response


def _request_id(given: str) -> str:
    return given if WELL_FORMED_ID.fullmatch(given) else uuid.uuid4().hex


def _write_access_line(
    request: HttpRequest, response: HttpResponseBase, request_id: str, seconds: float
) -> None:
    if access_log.isEnabledFor(logging.INFO):
        facts = {
            "method": request.method,
            "path": request.path,
            "status": response.status_code,
            "duration_ms": round(seconds * 1000, 1),
            "address": blur_address(client_address(request)),
            "request_id": request_id,
        }
        access_log.info("request", extra={"facts": facts})


class PublicPageMiddleware:
    """Serve pages that are the same for everybody from the cache, before anything else runs."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        slot = public_pages.find(request)
        if slot and slot.page:
            headers, content = slot.page
            return HttpResponse(content, headers=headers)
        response = self.get_response(request)
        if getattr(response, "is_public_page", False) and isinstance(response, HttpResponse):
            response.setdefault("Cache-Control", PUBLIC_CACHE_CONTROL)
            if slot:
                public_pages.keep(slot, response)
        return response


class SecurityHeadersMiddleware:
    """Refuse requests that no view can handle, and add headers that Django has no setting for."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.policy = build_policy()
        self.office_policy = build_policy(replace=settings.OFFICE_SECURITY_POLICY)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        refusal = _refusal(request)
        _drop_broken_session_cookie(request)
        response = error_response(request, refusal) if refusal else self.get_response(request)
        for name, value in HEADERS.items():
            response.setdefault(name, value)
        in_office = request.path.startswith(settings.OFFICE_PATH)
        response["Content-Security-Policy"] = self.office_policy if in_office else self.policy
        return response


def _refusal(request: HttpRequest) -> AppError | None:
    if request.method not in METHODS:
        return MethodNotAllowed()
    if "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
        return BadRequest(reason="NUL in the address")
    return None


def _drop_broken_session_cookie(request: HttpRequest) -> None:
    """Remove a session cookie that is no key: PostgreSQL raises an error for one with a NUL."""
    name = settings.SESSION_COOKIE_NAME
    key = request.COOKIES.get(name, "")
    if key and not (key.isascii() and key.isalnum()):
        del request.COOKIES[name]


class ErrorMiddleware:
    """Turn a refusal raised in a view into its response; any other error goes to handler500."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if isinstance(response, HttpResponseNotAllowed):
            return _explain_method(request, response)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        return error_response(request, exception) if isinstance(exception, AppError) else None


def _explain_method(request: HttpRequest, refused: HttpResponseNotAllowed) -> HttpResponse:
    error = MethodNotAllowed()
    error.headers = {"Allow": refused["Allow"]}
    return error_response(request, error)
