"""The views of a list that staff keep for themselves; the list's bar has their links and forms."""

from typing import Any

from django.apps import apps
from django.contrib import admin, messages
from django.contrib.admin.exceptions import DisallowedModelAdminLookup, NotRegistered
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from accounts import saved_views
from accounts.errors import ViewRefused
from maaledu.errors import AppError
from office.lists import ListAdmin, kept_query


@require_POST
def change(request: HttpRequest) -> HttpResponse:
    """Keep the filters in this address as a view of a list, or remove one; lead back to the list.

    Raises Http404 for what is no list, PermissionDenied without the right to look at it, and
    ViewRefused for what the list does not take.
    """
    page = _page(request.POST.get("list", ""))
    if not page.has_view_permission(request):
        raise PermissionDenied
    _check(page, request)
    try:
        messages.success(request, _carry_out(page, request))
    except AppError as error:
        messages.error(request, error.message)
    url = reverse(f"admin:{page.opts.app_label}_{page.opts.model_name}_changelist")
    return redirect(f"{url}?{kept_query(request)}")


def _page(label: str) -> ListAdmin:
    try:
        page: Any = admin.site.get_model_admin(apps.get_model(label))
    except (LookupError, ValueError, NotRegistered) as error:
        raise Http404 from error
    if not isinstance(page, ListAdmin):
        raise Http404
    return page


def _carry_out(page: ListAdmin, request: HttpRequest) -> str:
    """Return what was done, in words. Raises what `accounts.saved_views` does."""
    user: Any = request.user
    of_list, name = page.opts.label_lower, request.POST.get("name", "")
    if "remove" in request.POST:
        is_removed = saved_views.remove(user, of_list, name=name)
        return "The view is removed." if is_removed else "The view was removed already."
    kept = saved_views.keep(user, of_list, name=name, query=kept_query(request))
    return f"The view “{kept}” is kept. Only you see it."


def _check(page: ListAdmin, request: HttpRequest) -> None:
    """Raise ViewRefused unless the list takes what is in this address."""
    try:
        page.get_changelist_instance(request)
    except (IncorrectLookupParameters, DisallowedModelAdminLookup) as error:
        raise ViewRefused from error
