"""The review list: what the shop noticed about affiliates' sales, and what staff made of it."""

from functools import partial

from django.contrib import admin
from django.urls import reverse
from unfold.decorators import display

from affiliates import fraud
from affiliates.models import FraudSignal
from enrollments import fraud_review
from office.affiliate_forms import NoteForm
from office.base import ReadOnlyAdmin
from office.cells import enrollment_link, link
from office.decisions import LIST, NOBODY, Decision, Outcome

STATE_COLORS = {
    FraudSignal.OPEN: "warning",
    FraudSignal.CLEARED: "success",
    FraudSignal.CONFIRMED: "danger",
}


CLEAR = Decision(
    "Clear",
    run=partial(fraud.decide, verdict=FraudSignal.CLEARED),
    permission="review",
    done="cleared",
    statuses=tuple(FraudSignal.TRANSITIONS[FraudSignal.CLEARED]),
    form=NoteForm,
    entry_field="note",
    consequence="There is an innocent explanation. Nothing else changes.",
)
CONFIRM = Decision(
    "Confirm",
    run=partial(fraud.decide, verdict=FraudSignal.CONFIRMED),
    permission="review",
    done="confirmed",
    statuses=tuple(FraudSignal.TRANSITIONS[FraudSignal.CONFIRMED]),
    form=NoteForm,
    entry_field="note",
    consequence=(
        "The suspicion is true. Nothing else changes by itself: suspend the affiliate if needed."
    ),
)


def _look() -> Outcome:
    number = fraud_review.review()
    return Outcome("", f"{number} new signals." if number != 1 else "1 new signal.")


LOOK = Decision(
    "Look for signals now",
    run=_look,
    permission="review",
    done="looked",
    consequence=(
        "The sales of the last months are searched, as every night. It refuses nothing and"
        " changes no sale."
    ),
    run_by=NOBODY,
    scope=LIST,
)


@admin.register(FraudSignal)
class FraudSignalAdmin(ReadOnlyAdmin):
    """Newest first. A signal refuses nothing; it links to the suspension of the affiliate."""

    list_display = ("created_at", "kind", "state", "affiliate", "detail", "reviewed_by")
    list_filter = ("status", "kind")
    search_fields = ("^affiliate__code", "^affiliate__email", "^affiliate__name")
    id_fields = ("pk", "affiliate_id", "enrollment_id")
    ordering = ("-created_at",)
    list_select_related = ("affiliate",)
    exclude = ("dedupe_key", "enrollment_id")
    readonly_fields = ("sale", "suspension")
    decisions = {"clear": CLEAR, "confirm": CONFIRM, "look": LOOK}

    @display(description="status", ordering="status", label=STATE_COLORS)
    def state(self, signal: FraudSignal) -> str:
        return signal.status

    @admin.display(description="sale")
    def sale(self, signal: FraudSignal) -> str:
        return enrollment_link(signal.enrollment_id)

    @admin.display(description="what can be done")
    def suspension(self, signal: FraudSignal) -> str:
        if not signal.affiliate.is_active:
            return f"The affiliate is {signal.affiliate.status}."
        url = reverse("admin:affiliates_affiliate_suspend", args=[signal.affiliate_id])
        return link(url, f"Suspend {signal.affiliate}")

    def facts(self, signal: FraudSignal) -> list[tuple[str, str]]:
        status = signal.status
        if signal.reviewed_by:
            status = f"{status} by {signal.reviewed_by}: {signal.note}"
        return [
            ("Affiliate", str(signal.affiliate)),
            ("Detail", signal.detail),
            ("Status", status),
        ]
