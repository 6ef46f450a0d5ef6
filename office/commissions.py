"""Commissions for review: what each sale earned and why, and the holds that keep it unpaid."""

from django.contrib import admin
from django.urls import reverse
from unfold.decorators import display

from affiliates import commissions
from affiliates.models import Commission, LedgerEntry
from maaledu.money import Money, rate_text
from office.cells import day, enrollment_link, link, once
from office.decisions import Decision
from office.fields import ReasonForm
from office.filters import DaysFilter
from office.ledger import AccountAdmin, live_payout_of, payout_link

HOLD_COLORS = {"free": "success", "sale in doubt": "danger", "under review": "warning"}


def _hold(commission: Commission, *, by: str, reason: str) -> bool:
    return commissions.review(commission.enrollment_id, hold=True, by=by, note=reason)


def _release(commission: Commission, *, by: str, reason: str) -> bool:
    return commissions.review(commission.enrollment_id, hold=False, by=by, note=reason)


HOLD = Decision(
    "Hold for review",
    run=_hold,
    permission="review",
    done="held for review",
    form=ReasonForm,
    entry_field="reason",
    consequence="What is held goes into no payout until it is released.",
)
RELEASE = Decision(
    "Release the hold",
    run=_release,
    permission="review",
    done="released from review",
    form=ReasonForm,
    entry_field="reason",
    consequence="What is released goes into the next draft, unless the sale is in doubt, too.",
)


@admin.register(Commission)
class CommissionAdmin(AccountAdmin):
    list_display = (
        "sold",
        "affiliate",
        "course_title",
        "earned",
        "reversed_money",
        "left",
        "available_from",
        "hold",
    )
    list_filter = (("created_at", DaysFilter), "is_under_review", "is_disputed", "currency")
    sortable_by = ("sold",)
    summed = "amount"
    views = (
        ("Under review", {"is_under_review__exact": "1"}),
        ("Sale in doubt", {"is_disputed__exact": "1"}),
    )
    csv_columns = {
        "Sold": "created_at",
        "Affiliate": "affiliate.name",
        "Code": "affiliate.code",
        "Course": "course_title",
        "Base": "base",
        "Rate in basis points": "rate_basis_points",
        "Commission": "amount",
        "Reversed": "reversed",
        "Net": "net_money",
        "Currency": "currency",
        "Available from": "available_at",
        "Sale": "enrollment_id",
    }
    search_help_text = "Code or e-mail address of an affiliate, or the whole id of an enrollment"
    id_fields = ("pk", "enrollment_id", "affiliate_id")
    readonly_fields = ("earned", "reversed_money", "left", "hold", "sale", "entries", "paid_in")
    fields = (
        "created_at",
        "affiliate",
        "course_title",
        "sale",
        "earned",
        "reversed_money",
        "left",
        "available_at",
        "hold",
        "review_note",
        "paid_in",
        "entries",
    )
    decisions = {"hold": HOLD, "release": RELEASE}

    @admin.display(description="sold", ordering="created_at")
    def sold(self, commission: Commission) -> str:
        return day(commission.created_at)

    @admin.display(description="available from", ordering="available_at")
    def available_from(self, commission: Commission) -> str:
        return day(commission.available_at)

    @admin.display(description="base x rate = commission", ordering="amount")
    def earned(self, commission: Commission) -> str:
        base = Money(commission.base, commission.currency)
        amount = Money(commission.amount, commission.currency)
        return f"{base} x {rate_text(commission.rate_basis_points)} = {amount}"

    @admin.display(description="reversed", ordering="reversed")
    def reversed_money(self, commission: Commission) -> Money:
        return Money(-commission.reversed, commission.currency)

    @admin.display(description="net")
    def left(self, commission: Commission) -> Money:
        return commission.net_money

    @display(description="hold", label=HOLD_COLORS)
    def hold(self, commission: Commission) -> str:
        if commission.is_disputed:
            return "sale in doubt"
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
    @once
    def paid_in(self, commission: Commission) -> str:
        """Only payouts say that a commission is paid: there is no mark to differ (R161)."""
        entry = LedgerEntry.objects.get(source_key=f"commission:{commission.enrollment_id}")
        return payout_link(live_payout_of(entry))

    def is_offered(self, decision: Decision, row: Commission) -> bool:
        return row.is_under_review == (decision is RELEASE)

    def facts(self, commission: Commission) -> list[tuple[str, str]]:
        return [
            ("Affiliate", str(commission.affiliate)),
            ("Base x rate", self.earned(commission)),
            ("Net", str(self.left(commission))),
            ("Now", self.hold(commission)),
        ]
