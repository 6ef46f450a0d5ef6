"""The affiliates in the office: their state, their figures, and what staff decide about them.

Their ledger is never edited.
"""

from functools import partial
from typing import Any

from django.contrib import admin
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from unfold.decorators import action, display

from affiliates import ledger, memberships
from affiliates.ledger import Adjustment
from affiliates.models import Affiliate, Balance, FraudSignal, LedgerEntry
from affiliates.pages.figures import FUNNEL_DAYS, funnel_of
from maaledu.money import format_money, rate_text
from office.affiliate_forms import AdjustmentForm, RateForm, ReasonForm
from office.base import ReadOnlyAdmin
from office.decisions import ONE_ROW, DecidedAlready, Decision, Outcome
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


# --- what staff decide ----------------------------------------------------------------------------
def _approve(affiliate: Affiliate, *, by: str) -> bool:
    return affiliate.status == Affiliate.APPLIED and memberships.approve(affiliate, by=by)


def _reinstate(affiliate: Affiliate, *, by: str) -> bool:
    return affiliate.status in (Affiliate.SUSPENDED, Affiliate.CLOSED) and memberships.approve(
        affiliate, by=by
    )


def _change_rate(affiliate: Affiliate, *, by: str, rate: int) -> Outcome:
    before, after = rate_text(affiliate.rate_basis_points), rate_text(rate)
    if not memberships.change_rate(affiliate, rate, by=by):
        raise DecidedAlready(f"The rate is {after} already.")
    return Outcome(f"rate changed from {before} to {after}")


def _adjust(affiliate: Affiliate, *, by: str, **typed: Any) -> Outcome:
    adjustment = Adjustment(by=by, **typed)
    try:
        is_booked = ledger.adjust(affiliate, adjustment)
    except IntegrityError:  # the same form, sent a moment earlier
        is_booked = False
    if not is_booked:
        raise DecidedAlready(
            "This form was sent before, and its entry is booked. Open the page anew for another"
            " one."
        )
    return Outcome(
        f"balance adjusted by {format_money(adjustment.amount, adjustment.currency)}:"
        f" {adjustment.note}"
    )


HELD = "Their link credits nobody from now on, and what is unpaid is held."
APPROVE = Decision(
    "Approve",
    run=_approve,
    permission="review",
    done="approved",
    consequence="Their link works from now on, and they are welcomed by e-mail.",
    statuses=(Affiliate.APPLIED,),
)
REINSTATE = Decision(
    "Reinstate",
    run=_reinstate,
    permission="review",
    done="reinstated",
    consequence="Their link works again, and what was held can be paid out.",
    statuses=(Affiliate.SUSPENDED, Affiliate.CLOSED),
)
SUSPEND = Decision(
    "Suspend",
    run=memberships.suspend,
    permission="review",
    done="suspended",
    form=ReasonForm,
    entry_field="reason",
    consequence=f"{HELD} They can be reinstated.",
    statuses=(Affiliate.ACTIVE,),
)
CLOSE = Decision(
    "Close affiliate",
    run=memberships.close,
    permission="review",
    done="closed",
    form=ReasonForm,
    entry_field="reason",
    consequence=f"{HELD} The partnership ends.",
    statuses=(Affiliate.APPLIED, Affiliate.ACTIVE, Affiliate.SUSPENDED),
)
CHANGE_RATE = Decision(
    "Change rate",
    run=_change_rate,
    permission="adjust",
    done="rate changed",
    form=RateForm,
    consequence="It counts for sales that are attributed from now on; earlier ones keep theirs.",
    statuses=(Affiliate.APPLIED, Affiliate.ACTIVE, Affiliate.SUSPENDED),
    scope=ONE_ROW,
)
ADJUST = Decision(
    "Adjust balance",
    run=_adjust,
    permission="adjust",
    done="balance adjusted",
    form=AdjustmentForm,
    consequence="An entry is booked that is payable at once. It is never changed or deleted.",
    scope=ONE_ROW,
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
    actions_list = ("figures",)
    decisions = {
        "approve": APPROVE,
        "suspend": SUSPEND,
        "reinstate": REINSTATE,
        "close": CLOSE,
        "rate": CHANGE_RATE,
        "adjust": ADJUST,
    }

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

    def has_figures_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request) and request.user.has_perm(
            "enrollments.view_enrollment"
        )

    @action(description="Sales figures", url_path="figures", permissions=["figures"])
    def figures(self, request: HttpRequest) -> HttpResponse:
        return _figures_page(self, request)


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
