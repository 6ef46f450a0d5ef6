"""The programs that grants are paid from: their budgets, what is committed and what is left."""

from typing import Any, cast

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from grants import programs
from grants.errors import ProgramInUse
from grants.figures import budget_left, budget_text, figures
from grants.models import Program
from office.base import EditAdmin, edited
from office.grant_forms import ProgramForm


@admin.register(Program)
class ProgramAdmin(EditAdmin):
    """Budgets, with the figures of all grants above the list.

    The first grant fixes a program's currency.
    """

    form = ProgramForm
    list_before_template = "admin/figures.html"
    list_display = ("name", "currency", "budget", "committed", "left", "is_active")
    show_full_result_count = False
    readonly_fields = ("committed", "left")
    fields = (*ProgramForm.Meta.fields, *readonly_fields)

    @admin.display(description="budget")
    def budget(self, program: Program) -> str:
        return budget_text(program.budget_amount, program.budget_grants, program.currency)

    @admin.display(description="committed")
    def committed(self, program: Program) -> str:
        return budget_text(program.committed_amount, program.committed_grants, program.currency)

    @admin.display(description="left")
    def left(self, program: Program) -> str:
        return budget_left(program)

    def get_readonly_fields(
        self, request: HttpRequest, obj: Program | None = None
    ) -> tuple[str, ...]:
        return ("currency", *self.readonly_fields) if obj and obj.is_used else self.readonly_fields

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        shown = {"figures_title": "The grants now", "figures": figures().rows()}
        context = {**(extra_context or {}), **shown}
        return super().changelist_view(request, context)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return cast("HttpResponse", super().changeform_view(request, *args, **kwargs))
        except ProgramInUse as error:
            messages.error(request, error.message)
            return redirect(request.path)

    def save_model(self, request, obj, form, change) -> None:
        if change:
            programs.change(obj, **{name: getattr(obj, name) for name in edited(form)})
        else:
            super().save_model(request, obj, form, change)

    def has_delete_permission(self, request: HttpRequest, obj: Program | None = None) -> bool:
        return False
