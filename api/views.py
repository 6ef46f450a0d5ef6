from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render

from api.document import document
from api.reference import sections
from maaledu.http import only_read
from maaledu.public_pages import public_page


@only_read
@public_page
def openapi(request: HttpRequest) -> HttpResponse:
    """The document, for programs."""
    return JsonResponse(document(), json_dumps_params={"indent": 1})


@only_read
@public_page
def reference(request: HttpRequest) -> HttpResponse:
    """The document, for people."""
    return render(request, "api/reference.html", {"document": document(), "sections": sections()})


@only_read
def root(request: HttpRequest) -> HttpResponse:
    return redirect("api_reference")
