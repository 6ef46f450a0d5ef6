from collections.abc import Callable
from urllib.parse import urlencode

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import override

from accounts import audit, second_factor
from accounts.models import AuditEntry
from maaledu.language import OFFICE

DOWNLOAD = "attachment"
FOUND = 302


class OfficeMiddleware:
    """Let staff into the office with their second factor only, and note in the change log what they
    were refused there and what they downloaded. The office is in English.

    Here and not in the pages, so that no page can forget it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(settings.OFFICE_PATH):
            return self.get_response(request)
        with override(OFFICE):
            response = self._answer(request)
        if response.status_code == FOUND and _asks_for_a_part(request):
            return _signed_out(request)
        return response

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        if not _is_of_office(request):
            return self.get_response(request)
        if second_factor.is_missing(request) and request.path_info != reverse("admin:logout"):
            return redirect(_where_to_show_it(request))
        response = self.get_response(request)
        if response.get("Content-Disposition", "").startswith(DOWNLOAD):
            _note(request, AuditEntry.EXPORTED)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        if isinstance(exception, PermissionDenied) and _is_of_office(request):
            _note(request, AuditEntry.REFUSED)


def _is_of_office(request: HttpRequest) -> bool:
    is_office = request.path_info.startswith(settings.OFFICE_PATH)
    return is_office and request.user.is_authenticated and request.user.is_staff


def _asks_for_a_part(request: HttpRequest) -> bool:
    """Whether a page of the office that is open asks for a part of itself anew."""
    is_office = request.path_info.startswith(settings.OFFICE_PATH)
    return is_office and request.headers.get("HX-Request") == "true"


def _signed_out(request: HttpRequest) -> HttpResponseBase:
    """Say in the page's own place for it that the session has ended, and leave the rest as it is.

    Followed, the redirect would put the page to sign in where the part was.
    """
    response = render(request, "admin/signed_out.html")
    response["HX-Retarget"] = "#signed-out"
    response["HX-Reselect"] = "#signed-out-words"
    response["HX-Reswap"] = "innerHTML"
    return response


def _where_to_show_it(request: HttpRequest) -> str:
    """Return the page that sets a second factor up, or where there is one, asks for it; there what
    was opened follows.
    """
    if not second_factor.has_factor(request.user):
        return reverse("mfa_index")
    opened = request.get_full_path() if request.method == "GET" else settings.OFFICE_PATH
    return f"{reverse('mfa_reauthenticate')}?{urlencode({'next': opened})}"


def _note(request: HttpRequest, kind: str) -> None:
    what = f"{request.method} {request.get_full_path()}"
    audit.record(kind, what, by=request.user.get_username())


class OurSiteMiddleware:
    """Keep `site` in a page's context for what we say about the shop.

    allauth's views put Django's Site there, which is a host name.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_template_response(
        self, request: HttpRequest, response: TemplateResponse
    ) -> TemplateResponse:
        if response.context_data and type(response.context_data.get("site")).__module__.startswith(
            "django.contrib.sites"
        ):
            response.context_data.pop("site", None)
        return response
