"""The page that a closed checkout shows instead of itself, while the old platform still sells."""

import functools
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from courses.models import Course
from payments.errors import CheckoutClosed

View = Callable[..., HttpResponseBase]


def unless_closed(view: View) -> View:
    """Show why nobody can buy now, with the way back to the course, instead of the page."""

    @functools.wraps(view)
    def shown(request: HttpRequest, slug: str, **more: Any) -> HttpResponseBase:
        return _closed(request, slug) if settings.CHECKOUT_CLOSED else view(request, slug, **more)

    return shown


def _closed(request: HttpRequest, slug: str) -> HttpResponse:
    context = {
        "course": Course.objects.on_sale().filter(slug=slug).first(),
        "refusal": CheckoutClosed,
    }
    status = CheckoutClosed.http_status
    return render(request, "checkout/closed.html", context, status=status)
