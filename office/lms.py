from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.decorators import display

from courses.models import Course
from lms_sync import breaker, call_history, dead_letters, errors, pace
from lms_sync.delivery import DONE as DELIVERED
from lms_sync.models import DeadLetter, PlatformState, SyncAttempt, SyncJob
from maaledu.work.items import DEAD, PENDING
from office.base import QueueAdmin, ReadOnlyAdmin, ReadOnlyInline
from office.decisions import NOBODY, Decision, Outcome
from office.filters import DaysFilter, fixed

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

# How an attempt ends: done, or by the code of an error.
OUTCOMES: tuple[str | tuple[str, str], ...] = (
    DELIVERED,
    *sorted(
        (str(error.code), error.code.removeprefix("LMS_").replace("_", " ").lower())
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.LmsError)
    ),
)


def _probe(state: PlatformState) -> Outcome | bool:
    if not breaker.ask_probe(state.name):
        return False
    told = f"The worker probes {state.name} within a few seconds. Then its row shows the answer."
    return Outcome("asked for a probe", told, messages.INFO)


PROBE = Decision(
    "Probe now",
    run=_probe,
    permission="probe",
    done="asked for a probe",
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
    list_filter = ("status", "action", fixed("platform", Course.Platform.choices))
    sortable_by = ("created_at",)
    search_fields = (
        "email",
        "dedupe_key",
        "course_id",
        "lms_enrollment_id",
        "payload",
        "request_id",
    )
    inlines = (SyncAttemptInline,)


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnlyAdmin):
    decisions = {"replay": REPLAY, "dismiss": DISMISS}
    ordering = ("-created_at",)
    list_display = ("job", "reason", "status", "last_error", "last_attempt_at", "resolved_by")
    list_filter = ("status", fixed("reason", OUTCOMES))
    list_select_related = ("job",)
    search_fields = ("job__email", "job__dedupe_key", "job__course_id", "reason", "last_error")


@admin.register(SyncAttempt)
class SyncAttemptAdmin(ReadOnlyAdmin):
    ordering = ("-started_at",)
    list_display = ("job", "number", "started_at", "duration_ms", "http_status", "outcome")
    list_filter = (("started_at", DaysFilter), fixed("outcome", OUTCOMES))
    sortable_by = ("started_at",)
    list_select_related = ("job",)
    search_fields = ("job__email", "job__dedupe_key")


def platform_figures(state: PlatformState) -> dict[str, Any]:
    """Return how the platform answered: by step for a day and a month, and hour by hour."""
    now = timezone.now()
    day, month = now - timedelta(days=1), now - timedelta(days=30)
    tables = [
        ("day", "The last 24 hours, by step", "Step", call_history.by_step(state.name, day)),
        ("month", "The last 30 days, by step", "Step", call_history.by_step(state.name, month)),
        ("hours", "Hour by hour (UTC)", "Hour", call_history.by_period(state.name, day)),
        ("days", "Day by day", "Day", call_history.by_period(state.name, month, days=True)),
    ]
    return {"figure_tables": tables}


@admin.register(PlatformState)
class PlatformStateAdmin(ReadOnlyAdmin):
    decisions = {"probe_now": PROBE}
    list_display = (
        "platform",
        "state",
        "opened_at",
        "retry_at",
        "last_error",
        "last_ok_at",
        "latency_ms",
        "no_new_users_before",
        "limits",
    )

    change_form_outer_before_template = "admin/lms_sync/platform_figures.html"

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        row = options.get("obj")
        figures = platform_figures(row) if row else {}
        return super().render_change_form(request, {**context, **figures}, *args, **options)

    @display(description="platform", ordering="name")
    def platform(self, row: PlatformState) -> str:
        return str(Course.Platform(row.name).label)

    @display(description="calls at most")
    def limits(self, row: PlatformState) -> str:
        rate = pace.rate_at(timezone.now(), row)
        return f"{rate:g} a second, for {settings.LMS_CALLS_AT_ONCE} jobs at once"
