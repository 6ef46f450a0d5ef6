from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from api.document import document
from api.reference import sections
from maaledu.public_pages import public_page


@require_safe
@public_page
def openapi(request: HttpRequest) -> HttpResponse:
    """The document, for programs."""
    return JsonResponse(document(), json_dumps_params={"indent": 1})


@require_safe
@public_page
def reference(request: HttpRequest) -> HttpResponse:
    """The document, for people."""
    return render(request, "api/reference.html", {"document": document(), "sections": sections()})


@require_safe
def root(request: HttpRequest) -> HttpResponse:
    return redirect("api_reference")
