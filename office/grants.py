"""The grants in the office: the queue of applications, decisions about them, coupons, export."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateformat import format as format_date
from django.utils.timesince import timesince
from unfold.decorators import display

from grants.models import Grant, GrantEvent
from maaledu.money import Money
from office.base import ReadOnlyAdmin, ReadOnlyInline
from office.cells import enrollment_link
from office.filters import DaysFilter, NamedFilter
from office.grant_decisions import APPROVE, EXTEND, MOVE, REISSUE, REJECT, REVOKE
from office.grant_forms import NO_PROGRAM
from office.refusals import RefusalInline
from office.timeline_words import grant_event_words

STATE_COLORS = {
    Grant.PENDING: "info",
    Grant.APPROVED: "success",
    Grant.RESERVED: "warning",
    Grant.REDEEMED: "success",
    Grant.REJECTED: "danger",
    Grant.EXPIRED: "warning",
    Grant.REVOKED: "danger",
    Grant.WITHDRAWN: "info",
}
CSV_COLUMNS = {
    "Applied": "created_at",
    "Answer due": "answer_due_on",
    "Status": "status",
    "Name": "name",
    "E-mail": "email",
    "Course": "course.slug",
    "Percent": "percent",
    "Program": "program",
    "Price at approval": "price_at_approval",
    "Held of the budget": "committed_amount",
    "Currency": "currency",
    "Valid until": "expires_at",
    "Decided by": "decided_by",
    "Decided": "decided_at",
    "Reason": "reject_reason",
    "Used": "redeemed_at",
}


class GrantEventInline(ReadOnlyInline):
    model = GrantEvent
    fields = ("created_at", "happened", "actor", "note")
    readonly_fields = fields
    hide_title = True

    @admin.display(description="what")
    def happened(self, event: GrantEvent) -> str:
        return grant_event_words(event.what)


class AnswerFilter(NamedFilter):
    title = "answer"
    parameter_name = "answer"
    question = ("late", "Past its date")

    def kept(self, queryset: Any) -> QuerySet[Grant]:
        return queryset.unanswered(timezone.now().date())


@admin.register(Grant)
class GrantAdmin(ReadOnlyAdmin):
    """The queue of applications, oldest first, with the days left to answer."""

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
    list_filter = (
        ("created_at", DaysFilter),
        AnswerFilter,
        "status",
        "program",
        "reject_reason",
        "course__category",
    )
    sortable_by = ("created_at",)
    views = (
        ("To answer", {"status__exact": Grant.PENDING}),
        ("Past their date", {"answer": "late"}),
        ("Unused coupons", {"status__exact": Grant.APPROVED}),
    )
    search_fields = ("^email", "^name", "^code")
    ordering = ("created_at",)
    list_select_related = ("course", "program")
    inlines = (GrantEventInline, RefusalInline)
    csv_columns = CSV_COLUMNS
    decisions = {
        "approve": APPROVE,
        "reject": REJECT,
        "reissue": REISSUE,
        "extend": EXTEND,
        "revoke": REVOKE,
        "move": MOVE,
    }
    id_fields = ("pk", "enrollment_id")
    readonly_fields = ("approved_at_price", "held_of_budget", "used_for")
    exclude = ("price_at_approval", "committed_amount", "enrollment_id")

    @admin.display(description="held by, or used for")
    def used_for(self, grant: Grant) -> str:
        return enrollment_link(grant.enrollment_id)

    @admin.display(description="price at approval")
    def approved_at_price(self, grant: Grant) -> Money | str:
        if grant.price_at_approval is None:
            return ""
        return Money(grant.price_at_approval, grant.currency)

    @admin.display(description="held of the budget")
    def held_of_budget(self, grant: Grant) -> Money | str:
        return Money(grant.committed_amount, grant.currency) if grant.holds_budget else ""

    @display(description="status", ordering="status", label=STATE_COLORS)
    def state(self, grant: Grant) -> str:
        return grant.status

    @admin.display(description="paid from", ordering="program")
    def paid_from(self, grant: Grant) -> str:
        if not grant.code:
            return ""
        return grant.program.name if grant.program else NO_PROGRAM

    @admin.display(description="days left", ordering="answer_due_on")
    def days_left(self, grant: Grant) -> str:
        if grant.status != Grant.PENDING:
            return ""
        days = (grant.answer_due_on - timezone.now().date()).days
        return f"{days} days" if days >= 0 else f"{-days} days late"

    def facts(self, grant: Grant) -> list[tuple[str, str]]:
        facts = [("E-mail", grant.email), ("Applied", self._applied(grant))]
        if grant.code:
            until = _day(grant.expires_at)
            facts.append(("Coupon", f"{grant.code}, {grant.percent} %, valid until {until}"))
        return facts

    def _applied(self, grant: Grant) -> str:
        applied = f"{_day(grant.created_at)}, {timesince(grant.created_at)} ago"
        if grant.status != Grant.PENDING:
            return applied
        due = f"{_day(grant.answer_due_on)} ({self.days_left(grant)})"
        return f"{applied}; the answer is due on {due}"

    def may_download(self, request: HttpRequest) -> bool:
        may_export = request.user.has_perm("grants.export_grant")
        return may_export and super().may_download(request)


def _day(moment: Any) -> str:
    return format_date(moment, "F j, Y")
