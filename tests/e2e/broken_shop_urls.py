"""The product's addresses and one more, whose view fails as a mistake of ours would."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from maaledu import urls
from maaledu.urls import handler400, handler403, handler404, handler500

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


def fail(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("a mistake, for the test of the error page")


urlpatterns = [path("broken/", fail), *urls.urlpatterns]
