"""Dead letters: grouped by their cause, with what a replay would do, and how each was settled."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.http import urlencode
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from courses.models import Course
from enrollments import dead_jobs
from lms_sync import dead_letters
from lms_sync.letter import in_words
from lms_sync.models import DeadLetter
from office.base import ReadOnlyAdmin
from office.cells import Coded, link, once
from office.decisions import Decision, Outcome
from office.fields import StorableText
from office.filters import fixed
from office.learner_search import learner_url
from office.lms import OUTCOMES
from office.timeline_words import ACTIONS

OPEN, REPLAYED, DISMISSED = DeadLetter.Status
COLORS = {OPEN: "danger", REPLAYED: "info", DISMISSED: "success"}
PLATFORM = "job__platform"
STILL_PAID = (
    "The letter is settled. The learner has paid and has no access, and stays in that list until"
    " the enrollment is refunded, or has access."
)


class SettleForm(forms.Form):
    how = forms.ChoiceField(
        choices=[("", "Choose"), *DeadLetter.SETTLED],
        widget=UnfoldAdminSelectWidget,
        label="How it was settled",
    )
    note = StorableText(
        max_length=300,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="For colleagues only: what was agreed with the learner, and where to read it.",
    )


def _settle(letter: DeadLetter, *, by: str, how: str, note: str) -> Outcome | bool:
    if not dead_jobs.settle(letter, by=by, how=how, note=note):
        return False
    words = dict(DeadLetter.SETTLED)[how]
    entry = f"settled ({words[:1].lower()}{words[1:]}): {note}"
    if how == DeadLetter.BY_HAND:
        return Outcome(entry, "The worker looks at the LMS now, and records what is there.")
    if dead_jobs.is_without_access(letter):
        return Outcome(entry, STILL_PAID, messages.WARNING)
    return Outcome(entry)


REPLAY = Decision(
    "Replay",
    run=dead_letters.replay,
    permission="replay",
    done="replayed",
    statuses=tuple(DeadLetter.TRANSITIONS[REPLAYED]),
    needs_confirmation=False,
)
SETTLE = Decision(
    "Settle",
    run=_settle,
    permission="dismiss",
    done="settled",
    form=SettleForm,
    statuses=tuple(DeadLetter.TRANSITIONS[DISMISSED]),
    consequence=(
        "The letter is closed without another try. What was put right by hand is looked at once"
        " more, so that access is recorded here."
    ),
)


class PlatformFilter(admin.SimpleListFilter):
    """By platform, without a look at all jobs for which ones there are."""

    title = "platform"
    parameter_name = "platform"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(name), str(label)) for name, label in Course.Platform.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(job__platform=self.value()) if self.value() else queryset


def causes() -> list[tuple[str, str, str, int]]:
    """Return the address, cause, platform and number of each group of open letters, most first."""
    open_ones: Any = DeadLetter.objects.open().order_by()
    rows = open_ones.values("reason", PLATFORM).annotate(number=Count("pk"))
    found = [
        (
            urlencode({"status__exact": OPEN, "reason": row["reason"], "platform": row[PLATFORM]}),
            in_words(row["reason"]),
            str(Course.Platform(row[PLATFORM]).label),
            row["number"],
        )
        for row in rows
    ]
    return sorted(found, key=lambda each: (-each[-1], each[1]))


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnlyAdmin):
    decisions = {"replay": REPLAY, "settle": SETTLE}
    row_decisions = ("replay", "settle")
    ordering = ("-created_at",)
    list_display = (
        "what",
        "learner",
        "cause",
        "state",
        "last_error",
        "last_attempt_at",
        "settled",
    )
    list_filter = ("status", PlatformFilter, fixed("reason", OUTCOMES))
    list_select_related = ("job",)
    search_fields = ("^job__email", "^job__dedupe_key")
    id_fields = ("pk", "job_id")
    list_before_template = "admin/lms_sync/causes.html"
    fields = readonly_fields = (
        "learner",
        "what",
        "state",
        "cause",
        "last_error",
        "last_http_status",
        "would",
        "attempts",
        "first_attempt_at",
        "last_attempt_at",
        "notification_sent_at",
        "settled",
        "resolved_at",
        "note",
        "job",
    )

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {**(extra_context or {}), "causes": causes()})

    def facts(self, letter: DeadLetter) -> list[tuple[str, str]]:
        return [
            ("Learner", letter.job.email),
            ("What", self.what(letter)),
            ("Reason", letter.last_error or letter.reason),
            ("A replay", dead_jobs.preview(letter)),
        ]

    @display(description="learner", ordering="job__email")
    def learner(self, letter: DeadLetter) -> str:
        return link(learner_url(letter.job.email), letter.job.email)

    @admin.display(description="what")
    def what(self, letter: DeadLetter) -> str:
        return f"{ACTIONS[letter.job.action]}, {letter.job.course_id}"

    @display(description="status", ordering="status", label=COLORS)
    def state(self, letter: DeadLetter) -> Coded:
        return Coded((letter.status, letter.get_status_display()))

    @admin.display(description="a replay")
    @once
    def would(self, letter: DeadLetter) -> str:
        return dead_jobs.preview(letter)

    @admin.display(description="settled")
    def settled(self, letter: DeadLetter) -> str:
        how = letter.get_settled_how_display()
        return f"{how}, {letter.resolved_by}" if how else letter.resolved_by
