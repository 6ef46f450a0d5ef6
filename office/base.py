"""What the admin pages of every queue and ledger share: nothing is added, edited or deleted by
hand.
"""

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils.dateformat import format as format_date
from django.utils.html import format_html
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from maaledu import work

WORK_COLORS = {
    work.DONE: "success",
    work.PENDING: "info",
    work.RUNNING: "info",
    work.DEAD: "danger",
}


class EditAdmin(ModelAdmin):
    """A page that edits. What was not edited is not written: others may have moved it since the row
    was read.
    """

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001 Django passes it by position
        if change:
            obj.save(update_fields=edited(form))
        else:
            super().save_model(request, obj, form, change)


def edited(form: Any) -> list[str]:
    """Return the columns whose values were changed in the form; relations to many rows are saved by
    Django itself.
    """
    columns = {field.name for field in form.instance._meta.concrete_fields}
    return [name for name in form.changed_data if name in columns]


class ReadOnlyAdmin(ModelAdmin):
    """View only. What staff may do is an action that calls the same function as everything else."""

    list_per_page = 50
    show_full_result_count = False
    # A search for a whole id looks in these first: no engine but PostgreSQL can search inside a
    # UUID.
    id_fields: tuple[str, ...] = ("pk",)

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet, search_term: str
    ) -> tuple[models.QuerySet, bool]:
        try:
            wanted = uuid.UUID(search_term.strip())
        except ValueError:
            return super().get_search_results(request, queryset, search_term)
        found = queryset.filter(
            models.Q.create([(field, wanted) for field in self.id_fields], connector=models.Q.OR)
        )
        return (
            (found, False)
            if found.exists()
            else super().get_search_results(request, queryset, search_term)
        )

    def has_add_permission(self, request: HttpRequest, *args) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj=None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj=None) -> bool:
        return False

    def may(self, request: HttpRequest, verb: str) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.{verb}_{self.opts.model_name}")


class ReadOnlyInline(TabularInline):
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj=None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj=None) -> bool:
        return False


class QueueAdmin(ReadOnlyAdmin):
    """A queue of work items: "retry now" for waiting ones, "replay" for dead ones."""

    @display(description="status", ordering="status", label=WORK_COLORS)
    def state(self, item: work.WorkItem) -> str:
        return item.status

    actions: tuple[str, ...] = ("retry_now", "replay")
    ordering = ("-created_at",)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "replay")

    @admin.action(description="Retry now", permissions=["replay"])
    def retry_now(self, request: HttpRequest, queryset: models.QuerySet) -> None:
        act(self, request, queryset, work.retry_now, "retried")

    @admin.action(description="Replay", permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: models.QuerySet) -> None:
        act(self, request, queryset, work.replay, "replayed")


def act(
    page: admin.ModelAdmin,
    request: HttpRequest,
    queryset: models.QuerySet,
    do: Callable[..., bool],
    done: str,
) -> None:
    """Apply `do` to each row, leave a log entry for each that it changed, and report "3 replayed, 1
    skipped".
    """
    rows = list(queryset)
    changed = [row for row in rows if do(row)]
    for row in changed:
        note(request, row, done)
    skipped = len(rows) - len(changed)
    level = messages.SUCCESS if changed else messages.WARNING
    page.message_user(request, f"{len(changed)} {done}, {skipped} skipped.", level)


def note(request: HttpRequest, row: models.Model, text: str) -> None:
    """Leave an entry in the admin's history: who did what to which row, when."""
    LogEntry.objects.log_actions(
        str(request.user.pk), cast("Any", [row]), CHANGE, text, single_object=True
    )


def link(url: str, text: Any) -> str:
    return format_html(
        '<a class="text-primary-600 underline dark:text-primary-400" href="{}">{}</a>', url, text
    )


def enrollment_link(enrollment_id: UUID | None, text: str = "") -> str:
    if enrollment_id is None:
        return text
    return link(
        reverse("admin:enrollments_enrollment_change", args=[enrollment_id]), text or enrollment_id
    )


def day(moment: datetime) -> str:
    return format_date(moment, "M j, Y")
