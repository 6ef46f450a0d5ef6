from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest, HttpResponse
from unfold.admin import TabularInline

from lms_sync import breaker, dead_letters
from lms_sync.models import DeadLetter, PlatformState, SyncAttempt, SyncJob
from office.base import QueueAdmin, ReadOnlyAdmin, act, note


class SyncAttemptInline(TabularInline):
    model = SyncAttempt
    extra = 0
    max_num = 0
    can_delete = False
    fields = readonly_fields = (
        "number",
        "started_at",
        "duration_ms",
        "http_status",
        "outcome",
        "request",
        "response",
    )

    def has_add_permission(self, request: HttpRequest, obj=None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj=None) -> bool:
        return False


@admin.register(SyncJob)
class SyncJobAdmin(QueueAdmin):
    actions = ("retry_now",)
    list_display = (
        "email",
        "course_id",
        "action",
        "state",
        "last_error",
        "attempts",
        "next_attempt_at",
        "lms_enrollment_id",
        "created_at",
    )
    list_filter = ("status", "action", "platform")
    search_fields = ("email", "dedupe_key", "course_id", "lms_enrollment_id", "payload")
    inlines = (SyncAttemptInline,)

    @admin.action(description="Retry now", permissions=["replay"])
    def retry_now(self, request: HttpRequest, queryset: models.QuerySet) -> None:
        act(
            self,
            request,
            queryset,
            partial(dead_letters.bring_back, by=request.user.get_username()),
            "retried",
        )


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnlyAdmin):
    """The page of one letter offers the list's own actions, by the list's own POST: one way, with
    its permission and log entry.
    """

    VERBS = {
        "replay": DeadLetter.Status.REPLAYED,
        "dismiss": DeadLetter.Status.DISMISSED,
    }

    actions = ("replay", "dismiss")
    change_form_outer_before_template = "admin/lms_sync/dead_letter_buttons.html"
    ordering = ("-created_at",)
    list_display = ("job", "reason", "status", "last_error", "last_attempt_at", "resolved_by")
    list_filter = ("status", "reason")
    list_select_related = ("job",)
    search_fields = ("job__email", "job__dedupe_key", "job__course_id", "reason", "last_error")

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "replay")

    def has_dismiss_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "dismiss")

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], **options: Any
    ) -> HttpResponse:
        letter, allowed = options["obj"], self.get_actions(request)
        possible = [
            verb
            for verb, status in self.VERBS.items()
            if letter.status in DeadLetter.TRANSITIONS[status]
        ]
        buttons = [(verb, allowed[verb][2]) for verb in possible if verb in allowed]
        return super().render_change_form(request, {**context, "buttons": buttons}, **options)

    @admin.action(description="Replay", permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: models.QuerySet) -> None:
        act(
            self,
            request,
            queryset,
            partial(dead_letters.replay, by=request.user.get_username()),
            "replayed",
        )

    @admin.action(description="Dismiss", permissions=["dismiss"])
    def dismiss(self, request: HttpRequest, queryset: models.QuerySet) -> None:
        act(
            self,
            request,
            queryset,
            partial(dead_letters.dismiss, by=request.user.get_username()),
            "dismissed",
        )


@admin.register(SyncAttempt)
class SyncAttemptAdmin(ReadOnlyAdmin):
    ordering = ("-started_at",)
    list_display = ("job", "number", "started_at", "duration_ms", "http_status", "outcome")
    list_filter = ("outcome", "http_status")
    list_select_related = ("job",)
    search_fields = ("job__email", "job__dedupe_key")


@admin.register(PlatformState)
class PlatformStateAdmin(ReadOnlyAdmin):
    actions = ("probe_now",)
    list_display = (
        "name",
        "state",
        "opened_at",
        "retry_at",
        "latency_ms",
        "last_ok_at",
        "last_error",
    )

    def has_probe_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "probe")

    @admin.action(description="Probe now", permissions=["probe"])
    def probe_now(self, request: HttpRequest, queryset: models.QuerySet) -> None:
        for state in queryset:
            answers = breaker.probe_now(state.name)
            note(request, state, "probed")
            level = messages.SUCCESS if answers else messages.WARNING
            self.message_user(
                request,
                f"{state.name} {'answers' if answers else 'does not answer as it should'}.",
                level,
            )
