"""Pages of the office that ask before anything is done: what it is about, a form where one is
needed, a button that posts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from accounts.models import User
from maaledu.errors import AppError
from office.base import note


@dataclass(frozen=True)
class Step:
    """Something staff do to a row: the words on its button, what follows from it, what it asks for,
    what carries it out.

    `carry_out(row, what was typed, who)` returns what was done, in words for the history; it raises
    an AppError to refuse.
    """

    title: str
    follows: str
    carry_out: Callable[[Any, dict[str, Any], User], str]
    form_class: type[forms.Form]


def ask(
    page: admin.ModelAdmin, request: HttpRequest, row: models.Model, step: Step, **shown: Any
) -> HttpResponse:
    """Show the step; on POST carry it out, leave a note of it, and go back to the row. A refusal is
    shown and changes nothing.
    """
    form = step.form_class(
        request.POST if request.method == "POST" else None, initial=shown.pop("initial", None)
    )
    back = url_of(row)
    if form.is_valid() and _carried_out(request, row, step, form):
        return redirect(back)
    return show(page, request, form, title=step.title, follows=step.follows, back=back, **shown)


def show(
    page: admin.ModelAdmin, request: HttpRequest, form: forms.Form, **shown: Any
) -> HttpResponse:
    context = {**page.admin_site.each_context(request), "opts": page.opts, "form": form, **shown}
    return render(request, "admin/affiliates/payout_step.html", context)


def _carried_out(request: HttpRequest, row: models.Model, step: Step, form: forms.Form) -> bool:
    try:
        done = step.carry_out(row, form.cleaned_data, cast("User", request.user))
    except AppError as error:
        form.add_error(None, error.message)
        return False
    note(request, row, done)
    messages.success(request, f"{done[:1].upper()}{done[1:]}.")
    return True


def url_of(row: models.Model) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
