"""The affiliates in the office: their state, their figures, and the figures of all sales."""

from operator import attrgetter
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import BigIntegerField, F, Model, TextField, Value
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from unfold.decorators import action, display

from affiliates.models import Affiliate, Balance, FraudSignal, LedgerEntry
from affiliates.pages.figures import FUNNEL_DAYS, steps_of
from maaledu.money import rate_text
from maaledu.unions import branch
from office.affiliate_decisions import ADJUST, APPROVE, CHANGE_RATE, CLOSE, REINSTATE, SUSPEND
from office.base import ReadOnlyAdmin
from office.cells import link
from office.learner_search import learner_url
from office.sales_figures import MOST_AFFILIATES, affiliate_figures, sales_figures, sales_of

STATE_COLORS = {
    Affiliate.APPLIED: "info",
    Affiliate.ACTIVE: "success",
    Affiliate.SUSPENDED: "warning",
    Affiliate.CLOSED: "danger",
}
PERIODS = {"30": 30, "90": 90, "365": 365, "all": None}
DEFAULT_PERIOD = "30"
LATEST, MOST_COUNTED = 10, 200


@admin.register(Affiliate)
class AffiliateAdmin(ReadOnlyAdmin):
    """Newest first. Of a bank account its hint is shown: only payout files have the account."""

    list_before_template = "admin/figures.html"
    change_form_outer_before_template = "admin/affiliates/affiliate_summary.html"
    list_display = ("name", "email", "code", "state", "rate", "payout_method", "created_at")
    list_filter = ("status", "payout_method")
    sortable_by = ("created_at",)
    search_fields = ("^name", "^email", "^code", "^payee_name")
    id_fields = ("pk", "user_id")
    ordering = ("-created_at",)
    list_select_related: list[str] = []
    exclude = (
        "alias_key",
        "network_key",
        "payout_key",
        "payout_sealed",
        "rate_basis_points",
        "user",
    )
    readonly_fields = ("person", "rate")
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

    @admin.display(description="person")
    def person(self, affiliate: Affiliate) -> str:
        """Link to what is known of the address: the account itself is not for who pays out."""
        return link(learner_url(affiliate.email), affiliate.email)

    @admin.display(description="rate", ordering="rate_basis_points")
    def rate(self, affiliate: Affiliate) -> str:
        return rate_text(affiliate.rate_basis_points)

    def facts(self, affiliate: Affiliate) -> list[tuple[str, str]]:
        balances = Balance.objects.filter(affiliate_id=affiliate.pk).order_by("currency")
        reason = affiliate.status_reason
        status = f"{affiliate.status} ({reason})" if reason else affiliate.status
        return [
            ("E-mail", affiliate.email),
            ("Status", status),
            ("Rate", self.rate(affiliate)),
            ("Paid by", f"{affiliate.get_payout_method_display()} {affiliate.payout_hint}"),
            *((f"Balance in {balance.currency.upper()}", str(balance)) for balance in balances),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        figures = {"figures_title": "The affiliates now", "figures": affiliate_figures()}
        context = {**(extra_context or {}), **figures}
        return super().changelist_view(request, context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        affiliate = self.get_object(request, object_id)
        context = extra_context or {}
        if affiliate and self.has_view_permission(request, affiliate):
            context = {**context, **summary_of(affiliate)}
        return super().change_view(request, object_id, form_url, context)

    def has_figures_permission(self, request: HttpRequest) -> bool:
        sees_sales = request.user.has_perm("enrollments.view_enrollment")
        return sees_sales and self.has_view_permission(request)

    @action(description="Sales figures", url_path="figures", permissions=["figures"])
    def figures(self, request: HttpRequest) -> HttpResponse:
        return _figures_page(self, request)


def summary_of(affiliate: Affiliate) -> dict[str, Any]:
    """Return what is shown above an affiliate's page, by queries that stay quick."""
    entries, signals = _latest(affiliate)
    sales_query = {"affiliate_id": affiliate.pk}
    return {
        "balances": Balance.objects.filter(affiliate_id=affiliate.pk).order_by("currency"),
        "funnel": steps_of(affiliate.pk),
        "sales": sales_of(affiliate, days=FUNNEL_DAYS),
        "period_days": FUNNEL_DAYS,
        "entries": entries[:LATEST],
        "signals": signals[:LATEST],
        "signal_count": f"over {MOST_COUNTED}" if len(signals) > MOST_COUNTED else len(signals),
        "ledger_url": _list_url(affiliate, "affiliates_ledgerentry"),
        "commissions_url": _list_url(affiliate, "affiliates_commission"),
        "payouts_url": _list_url(affiliate, "affiliates_payout"),
        "signals_url": _list_url(affiliate, "affiliates_fraudsignal"),
        "sales_url": reverse("admin:enrollments_enrollment_changelist", query=sales_query),
    }


def _latest(affiliate: Affiliate) -> tuple[list[Any], list[Any]]:
    """Return the latest entries and the signals to review of an affiliate, by one statement."""
    entries = LedgerEntry.objects.filter(affiliate_id=affiliate.pk).order_by("-created_at", "-id")
    signals = FraudSignal.objects.filter(affiliate_id=affiliate.pk, status=FraudSignal.OPEN)
    shown = branch(entries, _columns(LedgerEntry, "note", "amount", "currency"), LATEST)
    open_ones = branch(
        signals.order_by("-created_at"), _columns(FraudSignal, "detail"), MOST_COUNTED + 1
    )
    found: dict[str, list[Any]] = {"ledgerentry": [], "fraudsignal": []}
    for what, key, at, kind, text, amount, currency in shown.union(open_ones, all=True):
        row = {"pk": UUID(key), "created_at": at, "kind": kind}
        money = {"note": text, "amount": amount, "currency": currency}
        is_entry = what == "ledgerentry"
        made = LedgerEntry(**row, **money) if is_entry else FraudSignal(**row, detail=text)
        found[what].append(made)
    for rows in found.values():
        rows.sort(key=attrgetter("created_at", "pk"), reverse=True)
    return found["ledgerentry"], found["fraudsignal"]


def _columns(model: type[Model], text: str, amount: str = "", currency: str = "") -> dict[str, Any]:
    return {
        "t_what": Value(model._meta.model_name, output_field=TextField()),
        "t_key": Cast(F("pk"), TextField()),
        "t_at": F("created_at"),
        "t_kind": Cast(F("kind"), TextField()),
        "t_text": Cast(F(text), TextField()),
        "t_amount": Cast(F(amount) if amount else Value(None), BigIntegerField()),
        "t_currency": Cast(F(currency) if currency else Value(""), TextField()),
    }


def _list_url(affiliate: Affiliate, name: str) -> str:
    return reverse(f"admin:{name}_changelist", query={"affiliate__id__exact": affiliate.pk})


def _figures_page(page: AffiliateAdmin, request: HttpRequest) -> HttpResponse:
    asked = request.GET.get("days", "")
    chosen = asked if asked in PERIODS else DEFAULT_PERIOD
    periods = [
        (name, f"{days} days" if days else "All time", name == chosen)
        for name, days in PERIODS.items()
    ]
    context = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "title": "Sales figures",
        "periods": periods,
        "figures": sales_figures(PERIODS[chosen]),
        "most_affiliates": MOST_AFFILIATES,
    }
    return render(request, "admin/affiliates/sales_figures.html", context)
