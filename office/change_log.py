"""The change log: who did what in the office, to what, from which value to which, and why."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html_join
from unfold.decorators import display

from accounts.models import AuditEntry
from office.base import ReadOnlyAdmin
from office.cells import Coded, link
from office.changes import NOTHING

KIND_COLORS = {
    AuditEntry.REFUSED: "danger",
    AuditEntry.SIGN_IN_REFUSED: "danger",
    AuditEntry.ROLES: "warning",
    AuditEntry.SECOND_FACTOR: "warning",
    AuditEntry.EXPORTED: "warning",
    AuditEntry.DELETED: "warning",
    AuditEntry.ADDED: "info",
    AuditEntry.CHANGED: "info",
    AuditEntry.DECIDED: "info",
    AuditEntry.SIGNED_IN: "success",
}
LONGEST_IN_A_LIST = 120


class WhenFilter(SimpleListFilter):
    title = "when"
    parameter_name = "since"
    spans = {"1": "last 24 hours", "7": "last 7 days", "30": "last 30 days", "90": "last 90 days"}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(self.spans.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() not in self.spans:
            return queryset
        since = timezone.now() - timedelta(days=int(self.value() or 0))
        return queryset.filter(created_at__gte=since)


class OfFilter(SimpleListFilter):
    """Of which list: the choices are the office's pages, so that no row is read for them."""

    title = "of"
    parameter_name = "of"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        pages = model_admin.admin_site._registry
        found = [(each._meta.label_lower, each._meta.verbose_name) for each in pages]
        return sorted(((label, str(name)) for label, name in found), key=lambda each: each[1])

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(model=self.value()) if self.value() else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "who", "kind_label", "what", "to_what", "from_to", "reason")
    list_filter = ("kind", OfFilter, WhenFilter)
    search_fields = ("actor", "row_id")
    search_help_text = "An e-mail address of staff, or the whole id of a row"
    sortable_by = ("created_at",)
    ordering = ("-created_at",)
    fields = (
        "created_at",
        "who",
        "kind_label",
        "what",
        "to_what",
        "from_to_in_full",
        "reason",
        "request_id",
    )
    readonly_fields = fields

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        """Find by a whole address or id: each has its index, and parts of them have none."""
        term = search_term.strip()
        if not term:
            return queryset, False
        return queryset.filter(Q(actor=term.lower()) | Q(row_id=_plain_id(term))), False

    @admin.display(description="who", ordering="actor")
    def who(self, entry: AuditEntry) -> str:
        return link(f"{_list_of_entries()}?q={entry.actor}", entry.actor)

    @display(description="kind", label=KIND_COLORS)
    def kind_label(self, entry: AuditEntry) -> Coded:
        return Coded((entry.kind, entry.get_kind_display()))

    @admin.display(description="to what")
    def to_what(self, entry: AuditEntry) -> str:
        if not entry.model:
            return ""
        name = entry.row_name or entry.row_id
        try:
            model = apps.get_model(entry.model)
            page = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
            return link(reverse(page, args=[entry.row_id]), f"{model._meta.verbose_name} {name}")
        except (LookupError, NoReverseMatch):
            return name

    @admin.display(description="from → to")
    def from_to(self, entry: AuditEntry) -> str:
        return _lines(entry, LONGEST_IN_A_LIST)

    @admin.display(description="from → to")
    def from_to_in_full(self, entry: AuditEntry) -> str:
        return _lines(entry, None)


def _lines(entry: AuditEntry, longest: int | None) -> str:
    shown = (
        (label, _cut(before or NOTHING, longest), _cut(after or NOTHING, longest))
        for label, before, after in entry.changes
    )
    return format_html_join("", "<div>{}: {} → {}</div>", shown)


def _cut(text: str, longest: int | None) -> str:
    return text if longest is None or len(text) <= longest else f"{text[:longest]}…"


def _plain_id(term: str) -> str:
    """Return an id as it is stored, whether it was typed with hyphens or not."""
    try:
        return str(UUID(term))
    except ValueError:
        return term


def _list_of_entries() -> str:
    return reverse("admin:accounts_auditentry_changelist")
