"""Where our enrollments and an LMS differ: what it means, and the repair of each, or of all."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.http import HttpRequest
from django.utils import timezone
from unfold.decorators import display

from accounts import audit
from accounts.models import AuditEntry, User
from courses.models import Course
from enrollments import access_repairs
from enrollments.errors import NotRepairable
from enrollments.models import AccessComparison, AccessDifference
from maaledu.errors import AppError
from office.base import ReadOnlyAdmin
from office.cells import Coded, link, url_of
from office.decisions import LIST, USER, Decision, Outcome
from office.fields import ReasonForm
from office.filters import fixed

MISSING, UNPAID = AccessDifference.MISSING, AccessDifference.UNPAID
ELSEWHERE, DOUBLE = AccessDifference.ELSEWHERE, AccessDifference.DOUBLE
LESS = AccessDifference.LESS
OPEN = AccessDifference.OPEN
MOST_AT_ONCE, MOST_SHOWN = 200, 20
COLORS = {
    OPEN: "danger",
    AccessDifference.REPAIRING: "info",
    AccessDifference.LEFT: "warning",
    AccessDifference.SETTLED: "success",
}
MEANS = {
    MISSING: "The learner has paid, and is not enrolled in the LMS any more.",
    LESS: "The learner is enrolled in the LMS, and cannot use it as it was paid for.",
    UNPAID: "This has ended, and what we made for it still gives access in the LMS.",
    ELSEWHERE: "The learner has paid for this course, and is enrolled in another one instead.",
    DOUBLE: "The learner is enrolled in this course more than once.",
}
HOW = (
    "The worker does it, looks at the LMS once more before, and takes nothing away that others made"
    " there. The learner gets no second confirmation."
)


class SeenChanged(AppError):
    code = "SEEN_CHANGED"
    message = "What is open has changed since this page was opened. Please look at it again."
    http_status = 409


def repair_of(difference: AccessDifference) -> str:
    """Say in plain words what a repair would do."""
    try:
        plan = access_repairs.plan_of(difference)
    except NotRepairable:
        return f"None by us: {NotRepairable.message[0].lower()}{NotRepairable.message[1:]}"
    steps = []
    if difference.kind == LESS:
        steps.append(f"Give the learner in {difference.course_id} what was paid for.")
    elif difference.kind in AccessDifference.WITHOUT_ACCESS:
        steps.append(f"Enroll the learner in {difference.course_id} again.")
    if plan.kept:
        steps.append(f"Keep {plan.kept}.")
    if plan.removed:
        steps.append(f"Remove {', '.join(plan.removed)}, which we made.")
    if plan.left:
        steps.append(f"Leave {', '.join(plan.left)} to its maker.")
    return " ".join(steps)


def shown_in_lms(difference: AccessDifference) -> str:
    """Say what the LMS showed of the learner at the last comparison."""
    return "; ".join(map(_row_in_words, difference.rows)) or "nothing of this course"


def _row_in_words(row: dict[str, Any]) -> str:
    facts = ["made by us" if row.get("ours") else "made by others"]
    facts += ["from a batch"] if row.get("batch") else []
    facts += ["with work in it"] if row.get("touched") else []
    facts += [row["lacking"]] if row.get("lacking") else []
    return f"{row['id']} in {row['course']} ({', '.join(facts)})"


REPAIR = Decision(
    "Repair",
    run=access_repairs.repair,
    permission="repair",
    done="repair begun",
    statuses=(OPEN, AccessDifference.LEFT),
    consequence=HOW,
)
LEAVE = Decision(
    "Leave as it is",
    run=access_repairs.leave,
    permission="repair",
    done="left as it is",
    form=ReasonForm,
    entry_field="reason",
    statuses=(OPEN,),
    consequence="It is not alerted again, and not counted as open, for as long as it stays so.",
)


class SeenForm(forms.Form):
    """`seen` is what was open on the page: nobody repairs what they did not see."""

    seen = forms.CharField(widget=forms.HiddenInput)


def _seen() -> str:
    newest = AccessDifference.objects.open().order_by("-opened_at").first()
    return f"{AccessDifference.objects.open().count()} {newest.opened_at if newest else ''}"


def _repair_all(*, by: User, seen: str) -> Outcome:
    """Begin the repair of those that are open, the oldest first, so many at once at most."""
    if seen != _seen():
        raise SeenChanged
    begun, refused = [], 0
    for difference in AccessDifference.objects.open().order_by("pk")[:MOST_AT_ONCE]:
        try:
            if access_repairs.repair(difference, by=by.get_username()):
                begun.append(difference)
        except AppError:
            refused += 1
    LogEntry.objects.log_actions(str(by.pk), begun, CHANGE, REPAIR.done)
    for each in begun:
        audit.record(AuditEntry.DECIDED, REPAIR.done, by=by.email, about=each)
    left = AccessDifference.objects.open().count() - refused
    words = f"{len(begun)} repairs begun, {refused} are not ours to repair."
    if left > 0:
        words += f" {left} are left: do it again."
    return Outcome("", words, messages.SUCCESS if begun else messages.WARNING)


class RepairAll(Decision):
    """The repair of all that is open, with what it would do."""

    def make_form(self, rows: list[Any], data: Any) -> forms.Form:
        return SeenForm(data, initial={"seen": _seen()})

    def context(self, request: HttpRequest, rows: list[Any], form: Any) -> dict[str, Any]:
        is_open = AccessDifference.objects.open()
        counts = [
            (words, MEANS[kind], is_open.filter(kind=kind).count())
            for kind, words in AccessDifference.KINDS
        ]
        first = is_open.select_related("enrollment").order_by("pk")[:MOST_SHOWN]
        preview = [(each, each.enrollment.email, repair_of(each)) for each in first]
        number = sum(count for _, _, count in counts)
        refusal = "" if number else "Nothing is open: our enrollments and the LMS's agree."
        more = number - len(preview)
        return {"counts": counts, "preview": preview, "more": more, "refusal": refusal}


REPAIR_ALL = RepairAll(
    "Repair all that is open",
    run=_repair_all,
    permission="repair",
    done="repair begun",
    run_by=USER,
    scope=LIST,
    consequence=f"{HOW} {MOST_AT_ONCE} at once at most.",
    template="admin/enrollments/repair_all.html",
)


@admin.register(AccessDifference)
class AccessDifferenceAdmin(ReadOnlyAdmin):
    list_display = ("opened_at", "what", "learner", "course_id", "platform_name", "state", "repair")
    list_filter = ("status", "kind", fixed("platform", Course.Platform.choices))
    list_select_related = ("enrollment",)
    search_fields = ("enrollment__email", "course_id")
    id_fields = ("pk", "enrollment_id")
    ordering = ("-opened_at",)
    fields = (
        "what",
        "means",
        "learner",
        "course_id",
        "platform_name",
        "in_lms",
        "repair",
        "status",
        "reason",
        "opened_at",
        "seen_at",
        "alerted_at",
        "decided_by",
        "decided_at",
        "settled_at",
    )
    readonly_fields = fields
    decisions = {"repair": REPAIR, "leave": LEAVE, "repair_all": REPAIR_ALL}

    def is_offered(self, decision: Decision, row: AccessDifference) -> bool:
        is_possible = decision is not REPAIR or access_repairs.is_repairable(row)
        return is_possible and super().is_offered(decision, row)

    @display(description="what differs", ordering="kind")
    def what(self, row: AccessDifference) -> str:
        return row.get_kind_display().capitalize()

    @admin.display(description="that is")
    def means(self, row: AccessDifference) -> str:
        return MEANS[row.kind]

    @admin.display(description="learner", ordering="enrollment__email")
    def learner(self, row: AccessDifference) -> str:
        return link(url_of(row.enrollment), row.enrollment.email)

    @admin.display(description="platform", ordering="platform")
    def platform_name(self, row: AccessDifference) -> str:
        return str(Course.Platform(row.platform).label)

    @admin.display(description="in the LMS")
    def in_lms(self, row: AccessDifference) -> str:
        return shown_in_lms(row)

    @admin.display(description="repair")
    def repair(self, row: AccessDifference) -> str:
        return repair_of(row)

    @display(description="status", ordering="status", label=COLORS)
    def state(self, row: AccessDifference) -> Coded:
        return Coded((row.status, row.get_status_display()))

    def facts(self, row: AccessDifference) -> list[tuple[str, str]]:
        return [
            ("What differs", MEANS[row.kind]),
            ("Learner", row.enrollment.email),
            ("Course", f"{row.enrollment.course_title} ({row.course_id})"),
            ("In the LMS", shown_in_lms(row)),
            ("Repair", repair_of(row)),
        ]


@admin.register(AccessComparison)
class AccessComparisonAdmin(ReadOnlyAdmin):
    """The last comparison of each LMS with our enrollments."""

    list_display = ("platform", "started_at", "finished_at", "looked_at", "in_words", "failure")
    search_fields = ("platform",)
    is_small = True
    ordering = ("-started_at",)


def last_compared(row: AccessComparison) -> tuple[datetime | None, str]:
    """Return when a comparison was finished last, and why the present one is not."""
    if row.finished_at:
        return row.compared_at, ""
    return (
        row.compared_at,
        row.failure or f"under way since {timezone.localtime(row.started_at):%H:%M}",
    )
