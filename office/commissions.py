"""Commissions for review: what each sale earned and why, what was taken back, and the holds that
keep it from being paid.
"""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.dataclasses import UnfoldAction
from unfold.decorators import action, display

from accounts.models import User
from affiliates import commissions
from affiliates.models import Commission, LedgerEntry
from maaledu.money import format_money, rate_text
from office.base import day, enrollment_link, link
from office.confirming import Step
from office.ledger import AccountAdmin, live_payout_of, payout_link
from office.office_decisions import DecidedAlready, decide_many, decide_one
from office.payout_forms import ReasonForm

HOLD_COLORS = {"free": "success", "disputed": "danger", "under review": "warning"}


def _hold(commission: Commission, typed: dict[str, Any], by: User) -> str:
    if not commissions.review(
        commission.enrollment_id, hold=True, by=by.get_username(), note=typed["reason"]
    ):
        raise DecidedAlready
    return f"held for review: {typed['reason']}"


def _release(commission: Commission, typed: dict[str, Any], by: User) -> str:
    if not commissions.review(
        commission.enrollment_id, hold=False, by=by.get_username(), note=typed["reason"]
    ):
        raise DecidedAlready
    return f"released from review: {typed['reason']}"


HOLD = Step(
    "Hold for review", "What is held goes into no payout until it is released.", _hold, ReasonForm
)
RELEASE = Step(
    "Release the hold",
    "What is released goes into the next draft, unless a dispute holds it, too.",
    _release,
    ReasonForm,
)


@admin.register(Commission)
class CommissionAdmin(AccountAdmin):
    list_display = (
        "sold",
        "affiliate",
        "course_title",
        "earned",
        "taken_back",
        "left",
        "available_from",
        "hold",
    )
    list_filter = ("is_under_review", "is_disputed", "currency")
    search_help_text = "Code or e-mail address of an affiliate, or the whole id of an enrollment"
    id_fields = ("pk", "enrollment_id", "affiliate_id")
    readonly_fields = ("earned", "taken_back", "left", "hold", "sale", "entries", "paid_in")
    fields = (
        *(
            "created_at",
            "affiliate",
            "course_title",
            "sale",
            "earned",
            "taken_back",
            "left",
            "available_at",
            "hold",
        ),
        *("review_note", "paid_in", "entries"),
    )
    actions = ("hold_selected", "release_selected")
    actions_detail = ["hold_one", "release_one"]

    @admin.display(description="sold", ordering="created_at")
    def sold(self, commission: Commission) -> str:
        return day(commission.created_at)

    @admin.display(description="available from", ordering="available_at")
    def available_from(self, commission: Commission) -> str:
        return day(commission.available_at)

    @admin.display(description="base x rate = commission", ordering="amount")
    def earned(self, commission: Commission) -> str:
        base, rate = (
            format_money(commission.base, commission.currency),
            rate_text(commission.rate_basis_points),
        )
        return f"{base} x {rate} = {format_money(commission.amount, commission.currency)}"

    @admin.display(description="reversed", ordering="reversed")
    def taken_back(self, commission: Commission) -> str:
        return format_money(-commission.reversed, commission.currency)

    @admin.display(description="net")
    def left(self, commission: Commission) -> str:
        return format_money(commission.net, commission.currency)

    @display(description="hold", label=HOLD_COLORS)
    def hold(self, commission: Commission) -> str:
        if commission.is_disputed:
            return "disputed"
        return "under review" if commission.is_under_review else "free"

    @admin.display(description="sale")
    def sale(self, commission: Commission) -> str:
        return enrollment_link(commission.enrollment_id)

    @admin.display(description="entries")
    def entries(self, commission: Commission) -> str:
        url = reverse(
            "admin:affiliates_ledgerentry_changelist", query={"q": commission.enrollment_id}
        )
        return link(url, "What was booked for this sale")

    @admin.display(description="paid in")
    def paid_in(self, commission: Commission) -> str:
        """Requirement R161: whether a commission is paid is what the payouts say, never a mark of
        its own.
        """
        return payout_link(
            live_payout_of(
                LedgerEntry.objects.get(source_key=f"commission:{commission.enrollment_id}")
            )
        )

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[UnfoldAction]:
        commission = self.get_object(request, object_id)
        offered = "release" if commission and commission.is_under_review else "hold"
        return [
            each for each in super().get_actions_detail(request, object_id) if each.path == offered
        ]

    def has_review_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self.may(request, "review")

    def facts(self, commission: Commission) -> list[tuple[str, str]]:
        """Return what a decision needs to know, as `office_decisions` asks for it."""
        return [
            ("Affiliate", str(commission.affiliate)),
            ("Base x rate", self.earned(commission)),
            ("Net", self.left(commission)),
            ("Now", self.hold(commission)),
        ]

    @admin.action(description="Hold for review …", permissions=["review"])
    def hold_selected(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return decide_many(self, request, queryset.select_related("affiliate"), HOLD)

    @admin.action(description="Release the hold …", permissions=["review"])
    def release_selected(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return decide_many(self, request, queryset.select_related("affiliate"), RELEASE)

    @action(description="Hold for review", url_path="hold", permissions=["review"])
    def hold_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return decide_one(self, request, object_id, HOLD)

    @action(description="Release the hold", url_path="release", permissions=["review"])
    def release_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return decide_one(self, request, object_id, RELEASE)
