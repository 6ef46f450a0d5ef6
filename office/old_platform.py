"""What came over from the old platform: the runs, each old row, and the proposals to be decided."""

import re
from collections.abc import Iterable

from django.apps import apps
from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html_join
from unfold.decorators import display

from legacy import answers, commissions, proposals
from legacy.facts import DECISION, DEFERRED, IGNORED, IMPORTED, MERGED, REFUSED
from legacy.models import ImportedRow, ImportProposal, ImportRun
from legacy.report_files import CURRENCY, in_words, text_lines
from maaledu.money import Money
from office.base import ReadOnlyAdmin
from office.cells import Coded, enrollment_link, link
from office.decisions import Decision
from office.fields import ReasonForm
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
MEANINGS = {
    "commission_discounted_base": "The old platform took its share of the discounted price. The"
    " difference is what the list price gives on top.",
    "commission_odd": "Neither price explains what the old platform booked. The difference leads to"
    " the share of the list price.",
    "commission_unprocessed": "The sale was referred, and the old platform never booked anything.",
    "commission_without_amount": "The old platform marked it as processed, without any amount.",
    "unknown_affiliate": "Nobody here has the address that the old platform named: nobody can be"
    " paid, and this can only be refused.",
    commissions.OVERPAID: "The old platform paid out more than was earned. Refused, the balance"
    " stays below zero until later commissions make up for it; accepted, the rest is written off.",
}
ACCEPT = Decision(
    "Accept",
    run=proposals.accept,
    permission="decide",
    done="accepted",
    form=ReasonForm,
    entry_field="reason",
    is_run_told_why=False,
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
    form=ReasonForm,
    entry_field="reason",
    is_run_told_why=False,
    statuses=(ImportProposal.OPEN,),
    consequence="Everything stays as the old platform had it, and nothing is booked.",
)


@admin.register(ImportProposal)
class ImportProposalAdmin(ReadOnlyAdmin):
    """Each is decided once."""

    list_display = ("kind", "state", "correction", "named", "created_at")
    list_filter = ("status", "kind")
    search_fields = ("^named", "affiliate__code", "affiliate__email", "key")
    csv_columns = {
        "Made": "created_at",
        "Kind": "kind",
        "Status": "status",
        "Affiliate": "named",
        "Booked": "booked",
        "Difference": "difference",
        "Currency": "currency",
        "Sale": "enrollment_id",
    }
    id_fields = ("pk", "affiliate_id", "enrollment_id")
    ordering = ("-created_at",)
    list_select_related = ()
    exclude = ("enrollment_id", "booked", "difference", "currency")
    readonly_fields = ("meaning", "sale", "as_paid", "correction")
    decisions = {"accept": ACCEPT, "refuse": REFUSE}

    def is_offered(self, decision: Decision, row: ImportProposal) -> bool:
        is_possible = decision is not ACCEPT or row.affiliate_id is not None
        return is_possible and super().is_offered(decision, row)

    @admin.display(description="what it means")
    def meaning(self, proposal: ImportProposal) -> str:
        return MEANINGS[proposal.kind]

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
        """With its sign: plus is owed to the affiliate."""
        plus = "+" if proposal.difference > 0 else ""
        return f"{plus}{Money(proposal.difference, proposal.currency)}"

    def facts(self, proposal: ImportProposal) -> list[tuple[str, str]]:
        return [
            ("Affiliate", str(proposal.affiliate or f"nobody here ({proposal.named})")),
            ("What", proposal.get_kind_display()),
            ("What it means", self.meaning(proposal)),
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
        "document",
    )
    readonly_fields = ("why", "ways", "noted", "became", "booked", "old_document")

    @display(description="outcome", ordering="outcome", label=OUTCOME_COLORS)
    def result(self, row: ImportedRow) -> Coded:
        return Coded((row.outcome, in_words(row.outcome)))

    @admin.display(description="reason")
    def why(self, row: ImportedRow) -> str:
        return in_words(row.reason)

    @admin.display(description="can be decided by")
    def ways(self, row: ImportedRow) -> str:
        """Name the answers that a file of decisions may give."""
        return ", ".join(answers.allowed(row.reason)) if row.outcome == DECISION else ""

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
        label, key = made[0] if made else (row.target, row.target_id)
        if not label:
            return ""
        model = apps.get_model(label)
        words = str(model._meta.verbose_name)
        if not admin.site.is_registered(model):
            return words
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
        return link(reverse(name, args=[key]), words)

    @admin.display(description="old document")
    def old_document(self, row: ImportedRow) -> str:
        """Show it without passwords and tokens, until --forget."""
        return _paragraphs(row.document.splitlines())


def _paragraphs(lines: Iterable[str]) -> str:
    """Show each line by itself, and what is set in as deep as it is."""
    indented = ([re.sub(r"^ +", lambda blanks: "\u2003" * len(blanks[0]), line)] for line in lines)
    return format_html_join("", "<p>{}</p>", indented)


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
        return _paragraphs(text_lines(run.summary, run.report_hash)) if run.summary else ""
