from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.decorators import display

from courses.models import Course
from lms_sync import breaker, call_history, dead_letters, errors, pace
from lms_sync.delivery import DONE as DELIVERED
from lms_sync.models import PlatformState, SyncAttempt, SyncJob
from maaledu.unions import starting_with
from maaledu.work.items import DEAD, PENDING
from notifications.models import Alert
from office.base import WORK_COLORS, QueueAdmin, ReadOnlyAdmin, ReadOnlyInline
from office.cells import Coded
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

PARKED = "parked"
ACTIONS = (SyncJob.ENROLL, SyncJob.REVOKE, SyncJob.LOOK, SyncJob.REPAIR, SyncJob.LEAVE)
MOST_COUNTED, OUTAGES_SHOWN = 1000, 20
STATE_COLORS = {
    PlatformState.State.CLOSED: "success",
    PlatformState.State.OPEN: "danger",
    PlatformState.State.HALF_OPEN: "warning",
    PlatformState.State.PARKED: "danger",
}
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
        "waits",
        "last_error",
        "attempts",
        "next_attempt_at",
        "lms_enrollment_id",
        "created_at",
    )
    list_filter = ("status", "action", fixed("platform", Course.Platform.choices))
    sortable_by = ("created_at",)
    search_fields = (
        "^email",
        "^dedupe_key",
        "request_id",
    )
    inlines = (SyncAttemptInline,)

    def of_id(self, wanted: UUID) -> list[Q]:
        """An enrollment's id stands in the keys of its jobs."""
        keys = [starting_with("dedupe_key", f"{action}:{wanted}") for action in ACTIONS]
        return [*super().of_id(wanted), *keys]

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Read once for all rows which platforms take no job now."""
        page = super().get_changelist_instance(request)
        blocked = breaker.blocked_platforms()
        for job in page.result_list:
            job.is_parked = job.status == PENDING and job.platform in blocked
        return page

    @display(description="status", ordering="status", label={**WORK_COLORS, PARKED: "warning"})
    def waits(self, job: Any) -> str:
        return PARKED if job.is_parked else job.status


@admin.register(SyncAttempt)
class SyncAttemptAdmin(ReadOnlyAdmin):
    ordering = ("-started_at",)
    list_display = ("job", "number", "started_at", "duration_ms", "http_status", "outcome")
    list_filter = (("started_at", DaysFilter), fixed("outcome", OUTCOMES))
    sortable_by = ("started_at",)
    list_select_related = ("job",)
    search_fields = ("job__email", "job__dedupe_key")


def _outages(name: str) -> list[tuple[Any, Any, str]]:
    """Return the last outages of a platform that staff were alerted of: since, until, and what."""
    alerts = Alert.objects.filter(kind="platform", key__startswith=f"platform:{name}:")
    return [
        (alert.since, alert.recovered_at, alert.subject)
        for alert in alerts.order_by("-created_at")[:OUTAGES_SHOWN]
    ]


def platform_figures(state: PlatformState) -> dict[str, Any]:
    """Return how the platform answered: by step for a day and a month, and hour by hour."""
    now = timezone.now()
    month = call_history.read(state.name, now - timedelta(days=30))
    day = [row for row in month if row["starts_at"] >= now - timedelta(days=1)]
    tables = [
        ("day", "The last 24 hours, by step", "Step", call_history.by_step(day)),
        ("month", "The last 30 days, by step", "Step", call_history.by_step(month)),
        ("hours", "Hour by hour (UTC)", "Hour", call_history.by_period(day)),
        ("days", "Day by day", "Day", call_history.by_period(month, days=True)),
    ]
    return {"figure_tables": tables, "outages": _outages(state.name)}


@admin.register(PlatformState)
class PlatformStateAdmin(ReadOnlyAdmin):
    decisions = {"probe_now": PROBE}
    row_decisions = ("probe_now",)
    list_display = (
        "platform",
        "colored",
        "opened_at",
        "parked",
        "what_is_wrong",
        "last_ok_at",
        "latency_ms",
        "no_new_users_before",
        "limits",
    )

    change_form_outer_before_template = "admin/lms_sync/platform_figures.html"

    def is_offered(self, decision: Decision, row: PlatformState) -> bool:
        return row.probe_asked_at is None

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        row = options.get("obj")
        figures = platform_figures(row) if row else {}
        return super().render_change_form(request, {**context, **figures}, *args, **options)

    @display(description="platform", ordering="name")
    def platform(self, row: PlatformState) -> str:
        return str(Course.Platform(row.name).label)

    @display(description="state", label=STATE_COLORS)
    def colored(self, row: PlatformState) -> Coded:
        return Coded((row.state, row.get_state_display()))

    @display(description="jobs due")
    def parked(self, row: PlatformState) -> str:
        due = SyncJob.objects.due(timezone.now()).filter(platform=row.name)
        number = len(due.values_list("pk", flat=True)[: MOST_COUNTED + 1])
        shown = f"over {MOST_COUNTED:,}" if number > MOST_COUNTED else f"{number:,}"
        return f"{shown} parked" if row.is_blocked and number else shown

    @display(description="what is wrong")
    def what_is_wrong(self, row: PlatformState) -> str:
        """Say the last error only while it lasts: the page of the row keeps it."""
        return row.last_error if row.is_blocked or row.incident else ""

    @display(description="calls at most")
    def limits(self, row: PlatformState) -> str:
        rate = pace.rate_at(timezone.now(), row)
        return f"{rate:g} a second, for {settings.LMS_CALLS_AT_ONCE} jobs at once"
