"""The grants in the office: the queue of applications, decisions about them, coupons, export."""

from itertools import chain
from operator import attrgetter
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from django.utils.dateformat import format as format_date
from django.utils.timesince import timesince
from unfold.decorators import display

from affiliates import commissions
from courses.discounts import discounted
from courses.models import Course
from grants import applications
from grants.figures import budget_left
from grants.models import Grant, GrantEvent
from maaledu.csv import csv_response
from maaledu.money import format_money
from office.base import ReadOnlyAdmin, ReadOnlyInline
from office.decisions import ONE_ROW, Decision
from office.grant_forms import NO_PROGRAM, DecisionForm, ExtensionForm, RejectionForm
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


TEMPLATE = "admin/grants/decision.html"


# --- the decisions --------------------------------------------------------------------------------
class Approval(Decision):
    """Says what the grants would cost, each of them, and whose budget pays; nobody's is said as
    clearly as somebody's.
    """

    def context(self, request: HttpRequest, rows: list[Grant], form: Any) -> dict[str, Any]:
        rate, program = commissions.highest_rate(), form.program_chosen()
        pays = f"{program.name} pays; it has left: {budget_left(program)}." if program else ""
        previews = [preview(grant.course, form, rate) for grant in rows]
        return {"previews": previews, "pays": pays, "preview_label": "Show what it costs"}


def preview(course: Course, form: DecisionForm, rate: int) -> dict[str, Any]:
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


APPROVE = Approval(
    "Approve",
    run=applications.approve,
    permission="decide",
    done="approved",
    form=DecisionForm,
    statuses=(Grant.PENDING,),
    template=TEMPLATE,
    preview_fields=("percent", "program"),
)
REJECT = Decision(
    "Reject",
    run=applications.reject,
    permission="decide",
    done="rejected",
    form=RejectionForm,
    statuses=(Grant.PENDING,),
    template=TEMPLATE,
)
REISSUE = Decision(
    "Reissue code",
    run=applications.reissue,
    permission="decide",
    done="reissued",
    statuses=(Grant.APPROVED,),
    template=TEMPLATE,
    scope=ONE_ROW,
)
EXTEND = Decision(
    "Extend",
    run=applications.extend,
    permission="decide",
    done="extended",
    form=ExtensionForm,
    statuses=(Grant.APPROVED,),
    template=TEMPLATE,
    scope=ONE_ROW,
)
REVOKE = Decision(
    "Revoke",
    run=applications.revoke,
    permission="decide",
    done="revoked",
    statuses=(Grant.APPROVED,),
    template=TEMPLATE,
    scope=ONE_ROW,
)


# --- the page -------------------------------------------------------------------------------------
class GrantEventInline(ReadOnlyInline):
    model = GrantEvent
    fields = ("created_at", "what", "actor", "note")
    readonly_fields = fields


@admin.register(Grant)
class GrantAdmin(ReadOnlyAdmin):
    """Oldest first, with the days left to answer. Every decision calls the same function as
    everything else.
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
    actions = ("export",)
    decisions = {
        "approve": APPROVE,
        "reject": REJECT,
        "reissue": REISSUE,
        "extend": EXTEND,
        "revoke": REVOKE,
    }
    id_fields = ("pk", "enrollment_id")
    readonly_fields = ("approved_at_price", "held_of_budget")
    exclude = ("price_at_approval", "committed_amount")

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

    def facts(self, grant: Grant) -> list[tuple[str, str]]:
        facts = [("E-mail", grant.email), ("Applied", self._applied(grant))]
        if grant.code:
            facts.append(
                ("Coupon", f"{grant.code}, {grant.percent} %, good until {_day(grant.expires_at)}")
            )
        return facts

    def _applied(self, grant: Grant) -> str:
        due = (
            f"; the answer is due on {_day(grant.answer_due_on)} ({self.days_left(grant)})"
            if grant.status == Grant.PENDING
            else ""
        )
        return f"{_day(grant.created_at)}, {timesince(grant.created_at)} ago{due}"

    def has_export_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("grants.export_grant")

    @admin.action(description="Export as CSV", permissions=["export"])
    def export(self, request: HttpRequest, queryset: QuerySet) -> StreamingHttpResponse:
        grants = queryset.select_related("course").order_by("created_at").iterator(500)
        cells = ([attrgetter(name)(grant) for name in EXPORTED] for grant in grants)
        return csv_response("grants.csv", chain([EXPORTED], cells))


def _day(moment: Any) -> str:
    return format_date(moment, "F j, Y")
