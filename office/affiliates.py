"""The affiliates in the office: who they are, how they stand, and what staff decide about them. The
ledger is never edited.
"""

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.db import IntegrityError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from unfold.dataclasses import UnfoldAction
from unfold.decorators import action, display

from accounts.models import User
from affiliates import ledger, memberships
from affiliates.ledger import Adjustment
from affiliates.models import Affiliate, Balance, FraudSignal, LedgerEntry
from affiliates.pages.figures import FUNNEL_DAYS, funnel_of
from maaledu.money import format_money, rate_text
from office.affiliate_forms import AdjustmentForm, RateForm, ReasonForm
from office.base import ReadOnlyAdmin
from office.confirming import Step
from office.office_decisions import DecidedAlready, decide_many, decide_one
from office.sales_figures import MOST_AFFILIATES, affiliate_figures, sales_figures, sales_of

STATE_COLORS = {
    Affiliate.APPLIED: "info",
    Affiliate.ACTIVE: "success",
    Affiliate.SUSPENDED: "warning",
    Affiliate.CLOSED: "danger",
}
PERIODS = {"30": 30, "90": 90, "365": 365, "all": None}
DEFAULT_PERIOD = "30"
LATEST = 10
# The decisions that the page of an affiliate offers, by their status.
OFFERED = {
    Affiliate.APPLIED: {"approve", "close", "rate", "adjust"},
    Affiliate.ACTIVE: {"suspend", "close", "rate", "adjust"},
    Affiliate.SUSPENDED: {"reinstate", "close", "rate", "adjust"},
    Affiliate.CLOSED: {"reinstate", "adjust"},
}


# --- what staff decide ----------------------------------------------------------------------------
def _said(what: str, *, is_done: bool) -> str:
    """Return what was done, for the history. Raises DecidedAlready where it was not."""
    if not is_done:
        raise DecidedAlready
    return what


def _approve(affiliate: Affiliate, typed: dict[str, Any], by: User) -> str:
    is_new = affiliate.status == Affiliate.APPLIED
    return _said(
        "approved", is_done=is_new and memberships.approve(affiliate, by=by.get_username())
    )


def _reinstate(affiliate: Affiliate, typed: dict[str, Any], by: User) -> str:
    is_out = affiliate.status in (Affiliate.SUSPENDED, Affiliate.CLOSED)
    return _said(
        "reinstated", is_done=is_out and memberships.approve(affiliate, by=by.get_username())
    )


def _suspend(affiliate: Affiliate, typed: dict[str, Any], by: User) -> str:
    reason = typed["reason"]
    return _said(
        f"suspended: {reason}",
        is_done=memberships.suspend(affiliate, by=by.get_username(), reason=reason),
    )


def _close(affiliate: Affiliate, typed: dict[str, Any], by: User) -> str:
    reason = typed["reason"]
    return _said(
        f"closed: {reason}",
        is_done=memberships.close(affiliate, by=by.get_username(), reason=reason),
    )


def _change_rate(affiliate: Affiliate, typed: dict[str, Any], by: User) -> str:
    before, after = rate_text(affiliate.rate_basis_points), rate_text(typed["rate"])
    if not memberships.change_rate(affiliate, typed["rate"], by=by.get_username()):
        raise DecidedAlready(f"The rate is {after} already.")
    return f"rate changed from {before} to {after}"


def _adjust(affiliate: Affiliate, typed: dict[str, Any], by: User) -> str:
    amount, currency = typed["amount"], typed["currency"]
    adjustment = Adjustment(
        key=str(typed["key"]),
        amount=amount,
        currency=currency,
        by=by.get_username(),
        note=typed["note"],
    )
    try:
        is_booked = ledger.adjust(affiliate, adjustment)
    except IntegrityError:  # the same form, sent a moment earlier
        is_booked = False
    if not is_booked:
        raise DecidedAlready(
            "This form was sent before, and its entry is booked. Open the page anew for another"
            " one."
        )
    return f"balance adjusted by {format_money(amount, currency)}: {typed['note']}"


HELD = "Their link credits nobody from now on, and what is unpaid is held."
APPROVE = Step(
    "Approve",
    "Their link works from now on, and they are welcomed by e-mail.",
    _approve,
    forms.Form,
)
REINSTATE = Step(
    "Reinstate",
    "Their link works again, and what was held can be paid out.",
    _reinstate,
    forms.Form,
)
SUSPEND = Step("Suspend", f"{HELD} They can be reinstated.", _suspend, ReasonForm)
CLOSE = Step("Close affiliate", f"{HELD} The partnership ends.", _close, ReasonForm)
CHANGE_RATE = Step(
    "Change rate",
    "It counts for sales that are attributed from now on; earlier ones keep theirs.",
    _change_rate,
    RateForm,
)
ADJUST = Step(
    "Adjust balance",
    "An entry is booked that is payable at once. It is never changed or deleted.",
    _adjust,
    AdjustmentForm,
)


@admin.register(Affiliate)
class AffiliateAdmin(ReadOnlyAdmin):
    """Newest first. What is shown of a bank account is its hint; the account itself is for payout
    files alone.
    """

    list_before_template = "admin/affiliates/figures_now.html"
    change_form_outer_before_template = "admin/affiliates/affiliate_standing.html"
    list_display = ("name", "email", "code", "state", "rate", "payout_method", "created_at")
    list_filter = ("status", "payout_method", "tax_country")
    search_fields = ("name", "email", "code", "payee_name")
    id_fields = ("pk", "user_id")
    ordering = ("-created_at",)
    list_select_related: list[str] = []
    exclude = ("alias_key", "network_key", "payout_key", "payout_sealed", "rate_basis_points")
    readonly_fields = ("rate",)
    actions = ("approve_selected", "suspend_selected", "reinstate_selected", "close_selected")
    actions_list = ("figures",)
    actions_detail = [
        "approve",
        "suspend",
        "reinstate",
        "close",
        "change_rate",
        "adjust",
    ]

    @display(description="status", ordering="status", label=STATE_COLORS)
    def state(self, affiliate: Affiliate) -> str:
        return affiliate.status

    @admin.display(description="rate", ordering="rate_basis_points")
    def rate(self, affiliate: Affiliate) -> str:
        return rate_text(affiliate.rate_basis_points)

    def facts(self, affiliate: Affiliate) -> list[tuple[str, str]]:
        balances = Balance.objects.filter(affiliate_id=affiliate.pk).order_by("currency")
        return [
            ("E-mail", affiliate.email),
            (
                "Status",
                " ".join(
                    filter(
                        None,
                        [
                            affiliate.status,
                            affiliate.status_reason and f"({affiliate.status_reason})",
                        ],
                    )
                ),
            ),
            ("Rate", self.rate(affiliate)),
            ("Paid by", f"{affiliate.get_payout_method_display()} {affiliate.payout_hint}"),
            *((f"Balance in {balance.currency.upper()}", str(balance)) for balance in balances),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changelist_view(
            request, {**(extra_context or {}), "figures": affiliate_figures()}
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        affiliate = self.get_object(request, object_id)
        shown = (
            standing_of(affiliate)
            if affiliate and self.has_view_permission(request, affiliate)
            else {}
        )
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[UnfoldAction]:
        affiliate = self.get_object(request, object_id)
        offered = OFFERED[affiliate.status] if affiliate else set()
        return [
            each for each in super().get_actions_detail(request, object_id) if each.path in offered
        ]

    def has_review_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self.may(request, "review")

    def has_adjust_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self.may(request, "adjust")

    def has_figures_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "view") and request.user.has_perm("enrollments.view_enrollment")

    @action(description="Sales figures", url_path="figures", permissions=["figures"])
    def figures(self, request: HttpRequest) -> HttpResponse:
        return _figures_page(self, request)

    @admin.action(description="Approve …", permissions=["review"])
    def approve_selected(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return decide_many(self, request, queryset, APPROVE)

    @admin.action(description="Suspend …", permissions=["review"])
    def suspend_selected(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return decide_many(self, request, queryset, SUSPEND)

    @admin.action(description="Reinstate …", permissions=["review"])
    def reinstate_selected(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return decide_many(self, request, queryset, REINSTATE)

    @admin.action(description="Close …", permissions=["review"])
    def close_selected(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return decide_many(self, request, queryset, CLOSE)

    @action(description="Approve", url_path="approve", permissions=["review"])
    def approve(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return decide_one(self, request, object_id, APPROVE)

    @action(description="Suspend", url_path="suspend", permissions=["review"])
    def suspend(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return decide_one(self, request, object_id, SUSPEND)

    @action(description="Reinstate", url_path="reinstate", permissions=["review"])
    def reinstate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return decide_one(self, request, object_id, REINSTATE)

    @action(description="Close affiliate", url_path="close", permissions=["review"])
    def close(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return decide_one(self, request, object_id, CLOSE)

    @action(description="Change rate", url_path="rate", permissions=["adjust"])
    def change_rate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return decide_one(self, request, object_id, CHANGE_RATE)

    @action(description="Adjust balance", url_path="adjust", permissions=["adjust"])
    def adjust(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return decide_one(self, request, object_id, ADJUST)


# --- what is shown --------------------------------------------------------------------------------
def standing_of(affiliate: Affiliate) -> dict[str, Any]:
    """Return what stands above an affiliate's page; each query is bounded, however long the
    history.
    """
    signals = FraudSignal.objects.filter(affiliate_id=affiliate.pk, status=FraudSignal.OPEN)
    link = partial(_list_of, affiliate)
    return {
        "balances": Balance.objects.filter(affiliate_id=affiliate.pk).order_by("currency"),
        "funnel": funnel_of(affiliate.pk).total,
        "sales": sales_of(affiliate, days=FUNNEL_DAYS),
        "period_days": FUNNEL_DAYS,
        "entries": (
            LedgerEntry.objects.filter(affiliate_id=affiliate.pk).order_by("-created_at", "-id")[
                :LATEST
            ]
        ),
        "signals": signals.order_by("-created_at")[:LATEST],
        "signal_count": signals.count(),
        "ledger_url": link("affiliates_ledgerentry"),
        "commissions_url": link("affiliates_commission"),
        "payouts_url": link("affiliates_payout"),
        "signals_url": link("affiliates_fraudsignal"),
        "sales_url": reverse(
            "admin:enrollments_enrollment_changelist", query={"affiliate_id": affiliate.pk}
        ),
    }


def _list_of(affiliate: Affiliate, name: str) -> str:
    return reverse(f"admin:{name}_changelist", query={"affiliate__id__exact": affiliate.pk})


def _figures_page(page: AffiliateAdmin, request: HttpRequest) -> HttpResponse:
    days = request.GET.get("days", "")
    chosen = days if days in PERIODS else DEFAULT_PERIOD
    figures = sales_figures(PERIODS[chosen])
    kinds = [
        (
            kind,
            *(
                format_money(sum_, kind.currency)
                for sum_ in (kind.revenue, kind.taken_back, kind.net)
            ),
        )
        for kind in figures.kinds
    ]
    context = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "title": "Sales figures",
        "periods": [
            (name, f"{days} days" if days else "All time", name == chosen)
            for name, days in PERIODS.items()
        ],
        "kinds": kinds,
        "affiliates": [
            (row, _sums(row.earned), _sums(row.taken_back)) for row in figures.affiliates
        ],
        "most_affiliates": MOST_AFFILIATES,
    }
    return render(request, "admin/affiliates/figures.html", context)


def _sums(by_currency: dict[str, int]) -> list[str]:
    return [format_money(amount, currency) for currency, amount in sorted(by_currency.items())]
