from functools import partial
from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from unfold.sites import UnfoldAdminSite


class OfficeSite(UnfoldAdminSite):
    """unfold's site, which makes the list of all its apps for a page that shows it alone: the
    office has a sidebar of its own.
    """

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> Any:
        return SimpleLazyObject(partial(super().get_app_list, request, app_label))
