"""What came over from the old platform: the runs, each old row, and the proposals to be decided."""

from django.apps import apps
from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html_join
from unfold.decorators import display

from legacy import proposals
from legacy.facts import DECISION, DEFERRED, IGNORED, IMPORTED, MERGED, REFUSED
from legacy.models import ImportedRow, ImportProposal, ImportRun
from legacy.report_files import CURRENCY, in_words, text_lines
from maaledu.money import Money
from office.base import ReadOnlyAdmin
from office.cells import Coded, enrollment_link, link
from office.decisions import Decision
from office.filters import fixed

# Of the old database.
COLLECTIONS = (
    "accounts",
    "affiliates",
    "courses",
    "enrollments",
    "failedjobs",
    "grants",
    "retryjobs",
    "sessions",
    "users",
    "verification_tokens",
)

STRIPE_EVENT = "payments.StripeEvent"
OUTCOME_COLORS = {
    IMPORTED: "success",
    MERGED: "info",
    DEFERRED: "info",
    DECISION: "warning",
    REFUSED: "danger",
    IGNORED: "info",
}
STATE_COLORS = {
    ImportProposal.OPEN: "warning",
    ImportProposal.ACCEPTED: "success",
    ImportProposal.REFUSED: "info",
}
ACCEPT = Decision(
    "Accept",
    run=proposals.accept,
    permission="decide",
    done="accepted",
    statuses=(ImportProposal.OPEN,),
    consequence=(
        "The difference is booked once, as an adjustment of the affiliate's balance. It cannot be"
        " taken back but by another adjustment."
    ),
)
REFUSE = Decision(
    "Refuse",
    run=proposals.refuse,
    permission="decide",
    done="refused",
    statuses=(ImportProposal.OPEN,),
    consequence="Everything stays as the old platform had it, and nothing is booked.",
)


@admin.register(ImportProposal)
class ImportProposalAdmin(ReadOnlyAdmin):
    """Open ones first; each is decided once."""

    list_display = ("created_at", "kind", "state", "affiliate", "named", "correction")
    list_filter = ("status", "kind")
    search_fields = ("^named", "affiliate__code", "affiliate__email", "key")
    id_fields = ("pk", "affiliate_id", "enrollment_id")
    ordering = ("-created_at",)
    list_select_related = ("affiliate",)
    exclude = ("enrollment_id", "booked", "difference", "currency")
    readonly_fields = ("sale", "as_paid", "correction")
    decisions = {"accept": ACCEPT, "refuse": REFUSE}

    @display(description="status", ordering="status", label=STATE_COLORS)
    def state(self, proposal: ImportProposal) -> str:
        return proposal.status

    @admin.display(description="sale")
    def sale(self, proposal: ImportProposal) -> str:
        return enrollment_link(proposal.enrollment_id) if proposal.enrollment_id else "-"

    @admin.display(description="booked as the old platform had it")
    def as_paid(self, proposal: ImportProposal) -> str:
        return str(Money(proposal.booked, proposal.currency))

    @admin.display(description="difference", ordering="difference")
    def correction(self, proposal: ImportProposal) -> str:
        return str(Money(proposal.difference, proposal.currency))

    def facts(self, proposal: ImportProposal) -> list[tuple[str, str]]:
        return [
            ("Affiliate", str(proposal.affiliate or f"nobody here ({proposal.named})")),
            ("What", proposal.get_kind_display()),
            ("Booked", self.as_paid(proposal)),
            ("Difference", self.correction(proposal)),
        ]


@admin.register(ImportedRow)
class ImportedRowAdmin(ReadOnlyAdmin):
    """Each old row with its one outcome, and the old document as long as it is kept."""

    list_display = ("collection", "source_id", "result", "why", "became", "noted")
    list_filter = (fixed("collection", COLLECTIONS), "outcome")
    search_fields = ("source_id",)
    id_fields = ("pk", "target_id")
    ordering = ("-created_at",)
    list_select_related = ()
    exclude = (
        "targets",
        "source_hash",
        "content_hash",
        "target_hash",
        "reason",
        "notes",
        "target",
        "target_id",
        "amount",
    )
    readonly_fields = ("why", "noted", "became", "booked")

    @display(description="outcome", ordering="outcome", label=OUTCOME_COLORS)
    def result(self, row: ImportedRow) -> Coded:
        return Coded((row.outcome, in_words(row.outcome)))

    @admin.display(description="reason")
    def why(self, row: ImportedRow) -> str:
        return in_words(row.reason)

    @admin.display(description="notes")
    def noted(self, row: ImportedRow) -> str:
        return ", ".join(map(in_words, row.notes.split()))

    @admin.display(description="booked")
    def booked(self, row: ImportedRow) -> str:
        return "" if row.amount is None else str(Money(row.amount, CURRENCY))

    @admin.display(description="what it became")
    def became(self, row: ImportedRow) -> str:
        # A sale comes with its events of Stripe.
        made = sorted(row.targets, key=lambda each: each[0] == STRIPE_EVENT)
        if not made:
            return ""
        label, key = made[0]
        model = apps.get_model(label)
        words = str(model._meta.verbose_name)
        if not admin.site.is_registered(model):
            return words
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
        return link(reverse(name, args=[key]), words)


@admin.register(ImportRun)
class ImportRunAdmin(ReadOnlyAdmin):
    """What each run found and wrote, as its report says it."""

    list_display = ("started_at", "kind", "source", "exported_at", "finished_at", "undone_at")
    list_filter = ("kind",)
    search_fields = ("source", "backup_id")
    is_small = True
    ordering = ("-started_at",)
    exclude = ("summary",)
    readonly_fields = ("report",)

    @admin.display(description="report")
    def report(self, run: ImportRun) -> str:
        """Show what the report says in sum; each row has its own page."""
        lines = text_lines(run.summary, run.report_hash) if run.summary else ()
        indented = ([line.replace("  ", "\u2003", 1)] for line in lines)
        return format_html_join("", "<p>{}</p>", indented)
