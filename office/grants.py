"""The grants desk: the queue of applications, decisions one at a time or many at once, coupons,
export.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from unfold.dataclasses import UnfoldAction
from unfold.decorators import action, display

from affiliates import commissions
from courses.discounts import discounted
from courses.models import Course
from grants import applications
from grants.figures import budget_left
from grants.models import Grant, GrantEvent
from maaledu.csv import csv_response
from maaledu.errors import AppError
from maaledu.money import format_money
from office.base import ReadOnlyAdmin, ReadOnlyInline, note
from office.grant_forms import NO_PROGRAM, DecisionForm, ExtensionForm, RejectionForm, end_of
from office.refusals import RefusalInline

STATE_COLORS = {
    Grant.PENDING: "info",
    Grant.APPROVED: "success",
    Grant.RESERVED: "warning",
    Grant.REDEEMED: "success",
    Grant.REJECTED: "danger",
    Grant.EXPIRED: "warning",
    Grant.REVOKED: "danger",
}
# Which decisions a grant's page offers, by its status; the list offers them all, and says what it
# skipped.
OFFERED = {Grant.PENDING: {"approve", "reject"}, Grant.APPROVED: {"reissue", "extend", "revoke"}}
EXPORTED = (
    "created_at",
    "status",
    "name",
    "email",
    "course.slug",
    "percent",
    "expires_at",
    "decided_by",
    "decided_at",
    "redeemed_at",
)


class GrantEventInline(ReadOnlyInline):
    model = GrantEvent
    fields = ("created_at", "what", "actor", "note")
    readonly_fields = fields


@admin.register(Grant)
class GrantAdmin(ReadOnlyAdmin):
    """Oldest first, with the days left to answer. Every decision goes through `granting`, as
    everywhere else.
    """

    list_display = (
        "name",
        "course",
        "state",
        "percent",
        "paid_from",
        "days_left",
        "expires_at",
        "created_at",
    )
    list_filter = ("status", "program", "reject_reason", "course__category")
    search_fields = ("email", "name", "code", "course__slug")
    ordering = ("created_at",)
    list_select_related = ("course", "program")
    inlines = (GrantEventInline, RefusalInline)
    actions = ("approve_selected", "reject_selected", "export")
    actions_detail = [
        "approve_one",
        "reject_one",
        "reissue_one",
        "extend_one",
        "revoke_one",
    ]
    id_fields = ("pk", "enrollment_id")
    readonly_fields = ("approved_at_price", "held_of_budget")
    exclude = ("price_at_approval", "committed_amount")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[UnfoldAction]:
        grant = self.get_object(request, object_id)
        offered = OFFERED.get(grant.status, set()) if grant else set()
        return [
            each for each in super().get_actions_detail(request, object_id) if each.path in offered
        ]

    @admin.display(description="price at approval")
    def approved_at_price(self, grant: Grant) -> str:
        return (
            ""
            if grant.price_at_approval is None
            else format_money(grant.price_at_approval, grant.currency)
        )

    @admin.display(description="held of the budget")
    def held_of_budget(self, grant: Grant) -> str:
        return format_money(grant.committed_amount, grant.currency) if grant.holds_budget else ""

    @display(description="status", ordering="status", label=STATE_COLORS)
    def state(self, grant: Grant) -> str:
        return grant.status

    @admin.display(description="paid from", ordering="program")
    def paid_from(self, grant: Grant) -> str:
        return (grant.program.name if grant.program else NO_PROGRAM) if grant.code else ""

    @admin.display(description="days left", ordering="answer_due_on")
    def days_left(self, grant: Grant) -> str:
        if grant.status != Grant.PENDING:
            return ""
        days = (grant.answer_due_on - timezone.now().date()).days
        return f"{days} days" if days >= 0 else f"{-days} days late"

    def has_decide_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("grants.decide_grant")

    def has_export_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("grants.export_grant")

    @admin.action(description="Approve …", permissions=["decide"])
    def approve_selected(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return _ask(self, request, queryset, "approve")

    @admin.action(description="Reject …", permissions=["decide"])
    def reject_selected(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return _ask(self, request, queryset, "reject")

    @admin.action(description="Export as CSV", permissions=["export"])
    def export(self, request: HttpRequest, queryset: QuerySet) -> StreamingHttpResponse:
        grants = queryset.select_related("course").order_by("created_at").iterator(500)
        cells = ([attrgetter(name)(grant) for name in EXPORTED] for grant in grants)
        return csv_response("grants.csv", chain([EXPORTED], cells))

    @action(description="Approve", url_path="approve", permissions=["decide"])
    def approve_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return _decide(self, request, object_id, "approve")

    @action(description="Reject", url_path="reject", permissions=["decide"])
    def reject_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return _decide(self, request, object_id, "reject")

    @action(description="Reissue code", url_path="reissue", permissions=["decide"])
    def reissue_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return _decide(self, request, object_id, "reissue")

    @action(description="Extend", url_path="extend", permissions=["decide"])
    def extend_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return _decide(self, request, object_id, "extend")

    @action(description="Revoke", url_path="revoke", permissions=["decide"])
    def revoke_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return _decide(self, request, object_id, "revoke")


def _approve(grant: Grant, form: Any, by: str) -> None:
    applications.approve(grant, form.decision(), by=by)


def _reject(grant: Grant, form: Any, by: str) -> None:
    applications.reject(
        grant, by=by, reason=form.cleaned_data["reason"], note=form.cleaned_data["note"]
    )


def _reissue(grant: Grant, form: Any, by: str) -> None:
    applications.reissue(grant, by=by)


def _extend(grant: Grant, form: Any, by: str) -> None:
    applications.extend(grant, by=by, until=end_of(form.cleaned_data["expires_on"]))


def _revoke(grant: Grant, form: Any, by: str) -> None:
    applications.revoke(grant, by=by)


Decide = Callable[[Grant, Any, str], None]


@dataclass(frozen=True)
class Verb:
    """A decision that staff can take: its form, what carries it out, the words on its button, and
    what was done then.
    """

    form_class: type[forms.Form]
    decide: Decide
    title: str
    done: str


VERBS = {
    "approve": Verb(DecisionForm, _approve, "Approve", "approved"),
    "reject": Verb(RejectionForm, _reject, "Reject", "rejected"),
    "reissue": Verb(forms.Form, _reissue, "Reissue code", "reissued"),
    "extend": Verb(ExtensionForm, _extend, "Extend", "extended"),
    "revoke": Verb(forms.Form, _revoke, "Revoke", "revoked"),
}


def _decide(page: GrantAdmin, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
    """Show one application with the form of a decision, what it costs and what to beware of; carry
    it out on POST.
    """
    verb = VERBS[name]
    grant = page.get_object(request, object_id)
    if grant is None:
        raise Http404
    confirmed, form = _filled_in(request, verb.form_class)
    back = reverse("admin:grants_grant_change", args=[grant.pk])
    if confirmed and form.is_valid() and _carried_out(request, grant, form, verb):
        return redirect(back)
    return _page(page, request, [grant], form, title=verb.title, back=back)


def _filled_in(request: HttpRequest, form_class: type[forms.Form]) -> tuple[bool, forms.Form]:
    """Return whether staff pressed the deciding button, and the form with what they have typed so
    far, if anything.
    """
    confirmed = "decide" in request.POST
    return confirmed, form_class(request.POST if confirmed or "preview" in request.POST else None)


def _page(
    page: GrantAdmin, request: HttpRequest, grants: list[Grant], form: forms.Form, **more: Any
) -> HttpResponse:
    shown = {"grants": [(grant, page.days_left(grant)) for grant in grants], "form": form}
    previewed = _previewed(grants, form) if isinstance(form, DecisionForm) else {}
    context = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        **shown,
        **previewed,
        **more,
    }
    return render(request, "admin/grants/decide.html", context)


def _carried_out(request: HttpRequest, grant: Grant, form: forms.Form, verb: Verb) -> bool:
    refusal = _refusal(request, grant, form, verb)
    if refusal:
        form.add_error(None, refusal)
        return False
    messages.success(request, f"{verb.title}: done.")
    return True


def _previewed(grants: list[Grant], form: DecisionForm) -> dict[str, Any]:
    """Say what the grants would cost, each of them, and whose budget pays; nobody's is said as
    clearly as somebody's.
    """
    rate, program = commissions.highest_rate(), form.program_chosen()
    pays = f"{program.name} pays; it has left: {budget_left(program)}." if program else ""
    return {"previews": [preview(grant.course, form, rate) for grant in grants], "pays": pays}


def preview(course: Course, form: forms.Form, rate: int) -> dict[str, Any]:
    """Return what a grant would cost at the percentage in the form, and the warnings about it, up
    to this commission rate.
    """
    typed = form["percent"].value()
    percent = (
        int(typed)
        if str(typed).isascii() and str(typed).isdigit() and 10 <= int(typed) <= 100
        else 100
    )
    price = discounted(course.price, percent, course.currency)
    return {
        "course": course.title,
        "percent": percent,
        "list_price": format_money(price.list_price, price.currency),
        "cost": format_money(price.discount, price.currency),
        "to_pay": format_money(price.to_pay, price.currency),
        "warnings": applications.warnings_about(
            price, percent, commission=commissions.commission_at(price, rate)
        ),
    }


def _ask(
    page: GrantAdmin, request: HttpRequest, queryset: QuerySet, name: str
) -> HttpResponse | None:
    """Ask for confirmation with the form of a decision, then apply it to each, and report "3
    approved, 1 skipped".
    """
    verb = VERBS[name]
    confirmed, form = _filled_in(request, verb.form_class)
    grants = list(queryset.select_related("course"))
    if not (confirmed and form.is_valid()):
        more = {
            "title": verb.title,
            "action_name": f"{name}_selected",
            "back": request.get_full_path(),
        }
        return _page(page, request, grants, form, **more)
    refused = [why for grant in grants if (why := _refusal(request, grant, form, verb))]
    level = messages.SUCCESS if len(refused) < len(grants) else messages.WARNING
    page.message_user(
        request, f"{len(grants) - len(refused)} {verb.done}, {len(refused)} skipped.", level
    )
    for why in sorted(set(refused)):
        page.message_user(request, why, messages.WARNING)
    return None


def _refusal(request: HttpRequest, grant: Grant, form: forms.Form, verb: Verb) -> str:
    """Carry the decision out and leave a note of it; return why it was refused, or nothing."""
    try:
        verb.decide(grant, form, request.user.get_username())
    except AppError as error:
        return error.message
    note(request, grant, verb.done)
    return ""
