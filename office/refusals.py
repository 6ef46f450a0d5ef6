"""Refused codes with their true reasons, which staff see and buyers never do."""

from django.contrib import admin

from grants.models import Refusal
from office.base import ReadOnlyAdmin, ReadOnlyInline

SHOWN = ("created_at", "reason", "tried_by", "course_slug")


class RefusalInline(ReadOnlyInline):
    model = Refusal
    verbose_name_plural = "refusals of its code"
    fields = SHOWN
    readonly_fields = SHOWN
    per_page = 10
    show_change_link = False


@admin.register(Refusal)
class RefusalAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "reason", "grant", "tried_by", "course_slug")
    list_filter = ("reason",)
    search_fields = ("^grant__email", "^grant__name", "^tried_by")
    id_fields = ("pk", "grant_id")
    sortable_by = ("created_at",)
    ordering = ("-created_at",)
    list_select_related = ("grant",)
