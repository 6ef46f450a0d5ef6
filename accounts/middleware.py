from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse


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
