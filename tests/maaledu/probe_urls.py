"""The site's own map, and pages that do what a test asks of a page."""

from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from maaledu.errors import AppError
from maaledu.http import read_json
from maaledu.limits import limit
from maaledu.public_pages import public_page
from maaledu.urls import (  # noqa: F401 Django reads the handlers here
    handler400,
    handler403,
    handler404,
    handler500,
)
from maaledu.urls import (
    urlpatterns as site_patterns,
)


class Refused(AppError):
    code = "OUT_OF_PENCILS"
    message = "There are no pencils left."
    http_status = 409
    retryable = True


class Renderings:
    count = 0


def refused(request: HttpRequest) -> HttpResponse:
    error = Refused(pencil_case="grandmother's")
    error.public_details = {"color": "blue"}
    raise error


def broken(request: HttpRequest) -> HttpResponse:
    raise ZeroDivisionError("a secret: password=hunter22")


def lost_database(request: HttpRequest) -> HttpResponse:
    raise OperationalError("server closed the connection unexpectedly")


def denied(request: HttpRequest) -> HttpResponse:
    raise PermissionDenied


@csrf_exempt
def echo(request: HttpRequest) -> JsonResponse:
    return JsonResponse(read_json(request, max_bytes=1000))


@csrf_exempt
def form(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(len(request.POST)))


@limit("checkout", methods=["POST"])
def counted(request: HttpRequest) -> HttpResponse:
    return HttpResponse("let through")


@limit("checkout")
def counted_refusal(request: HttpRequest) -> HttpResponse:
    raise Refused


@public_page
def public(request: HttpRequest) -> HttpResponse:
    Renderings.count += 1
    return HttpResponse(f"rendering {Renderings.count} of {request.GET.get('q', '')}")


@public_page
def not_so_public(request: HttpRequest) -> HttpResponse:
    return (
        render(request, "account/login.html")
        if request.user.is_authenticated
        else HttpResponse("Who are you?")
    )


@require_POST
def post_only(request: HttpRequest) -> HttpResponse:
    return HttpResponse("posted")


urlpatterns = [
    path("probe/refused", refused),
    path("api/probe/refused", refused),
    path("probe/broken", broken),
    path("api/probe/broken", broken),
    path("probe/lost-database", lost_database),
    path("probe/denied", denied),
    path("api/probe/echo", echo),
    path("probe/form", form),
    path("probe/counted", counted),
    path("probe/counted-refusal", counted_refusal),
    path("probe/public", public),
    path("probe/not-so-public", not_so_public),
    path("probe/post-only", post_only),
    path("api/probe/post-only", post_only),
    *site_patterns,
]
