from django.contrib import admin, messages

from lms_sync import breaker, dead_letters
from lms_sync.models import DeadLetter, PlatformState, SyncAttempt, SyncJob
from maaledu.work.items import DEAD, PENDING
from office.base import QueueAdmin, ReadOnlyAdmin, ReadOnlyInline
from office.decisions import NOBODY, Decision, Outcome

RETRY_JOB = Decision(
    "Retry now",
    run=dead_letters.retry,
    permission="replay",
    done="retried",
    statuses=(PENDING, DEAD),
    needs_confirmation=False,
)
REPLAY = Decision(
    "Replay",
    run=dead_letters.replay,
    permission="replay",
    done="replayed",
    statuses=tuple(DeadLetter.TRANSITIONS[DeadLetter.Status.REPLAYED]),
    needs_confirmation=False,
)
DISMISS = Decision(
    "Dismiss",
    run=dead_letters.dismiss,
    permission="dismiss",
    done="dismissed",
    statuses=tuple(DeadLetter.TRANSITIONS[DeadLetter.Status.DISMISSED]),
    needs_confirmation=False,
)


def _probe(state: PlatformState) -> Outcome:
    if breaker.probe_now(state.name):
        return Outcome("probed", f"{state.name} answers.")
    return Outcome("probed", f"{state.name} does not answer as it should.", messages.WARNING)


PROBE = Decision(
    "Probe now",
    run=_probe,
    permission="probe",
    done="probed",
    run_by=NOBODY,
    needs_confirmation=False,
)


class SyncAttemptInline(ReadOnlyInline):
    model = SyncAttempt
    show_change_link = False
    fields = readonly_fields = (
        "number",
        "started_at",
        "duration_ms",
        "http_status",
        "outcome",
        "request",
        "response",
    )


@admin.register(SyncJob)
class SyncJobAdmin(QueueAdmin):
    decisions = {"retry_now": RETRY_JOB}
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


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnlyAdmin):
    decisions = {"replay": REPLAY, "dismiss": DISMISS}
    ordering = ("-created_at",)
    list_display = ("job", "reason", "status", "last_error", "last_attempt_at", "resolved_by")
    list_filter = ("status", "reason")
    list_select_related = ("job",)
    search_fields = ("job__email", "job__dedupe_key", "job__course_id", "reason", "last_error")


@admin.register(SyncAttempt)
class SyncAttemptAdmin(ReadOnlyAdmin):
    ordering = ("-started_at",)
    list_display = ("job", "number", "started_at", "duration_ms", "http_status", "outcome")
    list_filter = ("outcome", "http_status")
    list_select_related = ("job",)
    search_fields = ("job__email", "job__dedupe_key")


@admin.register(PlatformState)
class PlatformStateAdmin(ReadOnlyAdmin):
    decisions = {"probe_now": PROBE}
    list_display = (
        "name",
        "state",
        "opened_at",
        "retry_at",
        "latency_ms",
        "last_ok_at",
        "last_error",
    )
