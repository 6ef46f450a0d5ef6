"""Decisions about a row of the office, or about many at once: confirmed on a page first, each with
its history.

A page of these says of a row what a decision needs: `facts(row)`, pairs of a label and a text.
"""

from typing import Any

from django.contrib import messages
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from maaledu.errors import AppError
from office import confirming
from office.base import note
from office.confirming import Step


class DecidedAlready(AppError):
    code = "DECIDED_ALREADY"
    message = "That is not possible as it stands now: somebody else may have decided already."
    http_status = 409


def decide_one(page: Any, request: HttpRequest, object_id: str, step: Step) -> HttpResponse:
    """Show one row with the form of a step; carry it out on POST."""
    row = page.get_object(request, object_id)
    if row is None:
        raise Http404
    name = (str(page.opts.verbose_name).capitalize(), str(row))
    return confirming.ask(page, request, row, step, facts=[name, *page.facts(row)])


def decide_many(
    page: Any, request: HttpRequest, queryset: QuerySet, step: Step
) -> HttpResponse | None:
    """Ask for confirmation with the form of a step, then carry it out for each, and report "3
    suspended, 1 skipped".
    """
    rows = list(queryset)
    form = step.form_class(request.POST if "decide" in request.POST else None)
    if not form.is_valid():
        shown = {
            "form": form,
            "title": step.title,
            "follows": step.follows,
            "back": request.get_full_path(),
        }
        rows_shown = [(row, page.facts(row)) for row in rows]
        context = {
            **page.admin_site.each_context(request),
            "opts": page.opts,
            **shown,
            "rows": rows_shown,
        }
        return render(
            request,
            "admin/affiliates/affiliate_decide.html",
            {**context, "action_name": request.POST.get("action", "")},
        )
    number = sum(_is_carried_out(request, row, step, form.cleaned_data) for row in rows)
    level = messages.SUCCESS if number else messages.WARNING
    page.message_user(request, f"{step.title}: {number} done, {len(rows) - number} skipped.", level)
    return None


def _is_carried_out(request: Any, row: Model, step: Step, typed: dict[str, Any]) -> bool:
    try:
        note(request, row, step.carry_out(row, typed, request.user))
    except AppError:
        return False
    return True
