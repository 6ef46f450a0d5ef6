"""Read the body of a request, and answer a refusal in one shape, as JSON or as a page."""

import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.http.request import UnreadablePostError
from django.shortcuts import redirect, resolve_url
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from structlog.contextvars import get_contextvars

from maaledu import seller, stuck_database
from maaledu.addresses import is_own_path
from maaledu.errors import (
    AppError,
    BadRequest,
    Forbidden,
    LengthRequired,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    ServiceUnavailable,
    UnsupportedMediaType,
)
from maaledu.storable import is_storable

logger = logging.getLogger(__name__)

Response = TypeVar("Response", bound=HttpResponseBase)
MACHINE_PATHS = ("/api/", "/webhooks/")
MAX_JSON_BYTES = 64 * 1024
JSON = "application/json"
# Each of them signs in who sends it, by a password or by a code.
SIGN_IN_FORMS = (
    settings.LOGIN_URL,
    "account_confirm_login_code",
    "account_email_verification_sent",
    "mfa_authenticate",
)
TITLES = {
    400: _("That request did not make sense to us"),
    403: _("You cannot open this page"),
    404: _("There is nothing here"),
    405: _("That is not possible here"),
    413: _("That was too much at once"),
    429: _("A little slower, please"),
    500: _("Something went wrong on our side"),
    503: _("The shop is temporarily unavailable"),
}
BARE_PAGE = (
    "<!doctype html><html lang=en><meta"
    " charset=utf-8><title>{title}</title><h1>{title}</h1><p>{message}</p><p>Reference:"
    " {request_id}</p>"
)


def site_facts() -> dict[str, Any]:
    return {
        "name": settings.SITE_NAME,
        "support_email": settings.SUPPORT_EMAIL,
        "url": settings.SITE_URL,
        "sandbox": not settings.STRIPE_LIVEMODE,
        "refund_days": settings.REFUND_DAYS,
        "seller": seller.facts(),
        "tour_url": settings.DEMO_TOUR_URL,
    }


def site(request: HttpRequest) -> dict[str, Any]:
    """Context processor: facts about the shop, which are the same for every visitor."""
    return {"shop": site_facts()}


# --- reading --------------------------------------------------------------------------------------
def only_read(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Answer GET and HEAD by the view, and 405 to all others, which our token would not help."""
    return csrf_exempt(require_safe(view))


def read_json(request: HttpRequest, *, max_bytes: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """Return the body as a JSON object whose strings every database can store.

    Raises UnsupportedMediaType for what is not sent as JSON, PayloadTooLarge over `max_bytes`, and
    BadRequest for anything that is not an object, is not UTF-8, nests too deep, names a member
    twice, or holds NUL or a lone surrogate.
    """
    refuse_other_than_json(request)
    body = read_body(request, max_bytes=max_bytes)
    if body and not request.content_type:
        raise UnsupportedMediaType
    try:
        data = json.loads(
            body.decode("utf-8"),
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
    except (ValueError, RecursionError, UnicodeError, TypeError) as error:
        raise BadRequest(reason=type(error).__name__) from error
    if not isinstance(data, dict) or not all(is_storable(text) for text in _strings(data)):
        raise BadRequest(reason="not an object of plain text")
    return data


def refuse_other_than_json(request: HttpRequest) -> None:
    """Raise UnsupportedMediaType for a body of another kind, or a packed one, before it is read."""
    if request.content_type not in (JSON, ""):
        raise UnsupportedMediaType(sent=request.content_type)
    if packing := request.headers.get("Content-Encoding"):
        raise UnsupportedMediaType(sent=packing)


def read_body(request: HttpRequest, *, max_bytes: int | None = None) -> bytes:
    """Return the raw body, of at most `max_bytes` (DATA_UPLOAD_MAX_MEMORY_SIZE by default).

    Raises PayloadTooLarge without reading more than that, BadRequest when the body breaks off, and
    LengthRequired for one in chunks, of which Django would read nothing.
    """
    if "Transfer-Encoding" in request.headers:
        raise LengthRequired
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE if max_bytes is None else max_bytes
    try:
        announced = int(request.META.get("CONTENT_LENGTH") or 0)
        body = b"" if announced > most else request.body
    except RequestDataTooBig as error:
        raise PayloadTooLarge from error
    except (UnreadablePostError, ValueError) as error:
        raise BadRequest(reason=type(error).__name__) from error
    if max(announced, len(body)) > most:
        raise PayloadTooLarge
    return body


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a member that is named twice: other programs may read the other one."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice")
    return found


def _strings(data: Any) -> Iterator[str]:
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        if isinstance(value, list):
            waiting += value


# --- refusals -------------------------------------------------------------------------------------
def error_response(request: HttpRequest, error: AppError) -> HttpResponse:
    """Return a refusal as JSON for programs, and as a page of ours for people."""
    level = logging.WARNING if error.http_status >= 500 else logging.INFO
    logger.log(
        level,
        "refused",
        extra={"code": error.code, "status": error.http_status, "details": error.details},
    )
    response = _error_json(error) if wants_json(request) else _error_page(request, error)
    return add_error_headers(response, error)


def add_error_headers(response: Response, error: AppError) -> Response:
    """Set the headers of a refusal; also for a view that shows it within a page of its own."""
    if error.retry_after:
        response["Retry-After"] = str(max(int(error.retry_after.total_seconds()), 1))
    for header, value in error.headers.items():
        response[header] = value
    return response


def wants_json(request: HttpRequest) -> bool:
    return is_for_programs(request) or JSON in request.headers.get("Accept", "")


def is_for_programs(request: HttpRequest) -> bool:
    """Whether the address is one of those for programs, however its letters are written."""
    return request.path.lower().startswith(MACHINE_PATHS)


def _error_json(error: AppError) -> HttpResponse:
    body = {
        "error": error.message,
        "code": error.code,
        "retryable": error.retryable,
        "details": dict(error.public_details),
        "timestamp": timezone.now().isoformat(),
    }
    return JsonResponse(body, status=error.http_status)


def _error_page(request: HttpRequest, error: AppError) -> HttpResponse:
    """Return the error page, rendered without the request.

    The request's context processors read the session and the user, which fails again while the
    database is down.
    """
    facts = {
        "status": error.http_status,
        "title": str(TITLES.get(error.http_status, TITLES[500])),
        "message": error.message,
        "code": error.code,
        "request_id": get_contextvars().get("request_id", ""),
        "retry_url": request.get_full_path() if error.retryable and request.method == "GET" else "",
        "support_email": settings.SUPPORT_EMAIL,
        "invoices": settings.STRIPE_INVOICES,
        "shop": site_facts(),
    }
    try:
        page: str = render_to_string("error.html", facts)
    except Exception:
        logger.exception("the error page itself is broken")
        page = BARE_PAGE.format(**facts)
    return HttpResponse(page, status=error.http_status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    too_large = isinstance(exception, RequestDataTooBig)
    return error_response(request, PayloadTooLarge() if too_large else BadRequest())


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_response(request, Forbidden())


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Refuse a form without its token; whoever signed in by it a moment ago goes on.

    On a slow line the form is sent twice: the first one signs in and changes the token.
    """
    is_sign_in = any(request.path == resolve_url(each) for each in SIGN_IN_FORMS)
    if is_sign_in and request.user.is_authenticated:
        wanted = request.POST.get("next") or request.GET.get("next", "")
        return redirect(wanted if is_own_path(wanted) else settings.LOGIN_REDIRECT_URL)
    message = gettext(
        "This form is too old, or it was not sent from our own page. Please open the page again and"
        " retry."
    )
    return error_response(request, Forbidden(message, reason=reason))


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_response(request, NotFound())


def too_many_requests(request: HttpRequest) -> HttpResponse:
    """Answer for allauth, which calls this when one of its own limits is exceeded."""
    return error_response(request, RateLimited())


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer an unexpected error, which Django has logged; a lost database may be retried."""
    error = sys.exc_info()[1]
    if lost_database := isinstance(error, OperationalError | InterfaceError):
        stuck_database.end_web_process(error)
    return error_response(request, ServiceUnavailable() if lost_database else AppError())
