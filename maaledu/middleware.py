"""What every request passes: its id and log line, cached public pages, our headers, our errors."""

import logging
import time
import uuid
from collections.abc import Callable

from csp.utils import build_policy
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.utils.cache import patch_vary_headers
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

from maaledu import metrics, public_pages, tracing
from maaledu.addresses import blur_address, client_address
from maaledu.errors import AppError, BadRequest, MethodNotAllowed
from maaledu.gates import answering
from maaledu.http import error_response, is_for_programs
from maaledu.logs import ACCESS

access_log = logging.getLogger(ACCESS)

GetResponse = Callable[[HttpRequest], HttpResponseBase]
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
        clear_contextvars()
        bind_contextvars(**{tracing.OF_REQUEST: request_id})
        token = answering.set(True)
        try:
            response = self.get_response(request)
        finally:
            answering.reset(token)
        seconds = time.perf_counter() - started
        metrics.count_request(request, response.status_code, seconds)
        response[tracing.HEADER] = request_id
        if not response.has_header("Cache-Control"):
            response["Cache-Control"] = "no-store"
        _write_access_line(request, response, request_id, seconds)
        return response


def _request_id(given: str) -> str:
    return tracing.well_formed(given) or uuid.uuid4().hex


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
            tracing.OF_REQUEST: request_id,
        }
        if purchase := get_contextvars().get(tracing.OF_PURCHASE):
            facts[tracing.OF_PURCHASE] = purchase
        access_log.info("request", extra={"facts": facts})


class PublicPageMiddleware:
    """Serve pages that are the same for everybody from the cache, before anything else runs."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        slot = public_pages.find(request)
        if slot and slot.page:
            metrics.note_cached(request)
            return public_pages.answer(slot.page, request)
        response = self.get_response(request)
        if getattr(response, "is_public_page", False) and isinstance(response, HttpResponse):
            response.setdefault("Cache-Control", PUBLIC_CACHE_CONTROL)
            patch_vary_headers(response, ["Accept-Encoding"])
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
    # Addresses for programs say themselves which methods they take.
    if request.method not in METHODS and not is_for_programs(request):
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
