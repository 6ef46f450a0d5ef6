"""Enroll many: a list of learners, what it would do line by line, and how far it is."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from courses.models import Course
from enrollments import batches
from enrollments.batches import Purpose
from enrollments.models import BatchRow, EnrollmentBatch
from office.base import QueueAdmin, ReadOnlyAdmin
from office.decisions import LIST, ONE_ROW, Decision, Outcome
from office.fields import FormWithFile, ReasonForm

COLORS = {
    EnrollmentBatch.DRAFT: "info",
    EnrollmentBatch.STARTED: "success",
    EnrollmentBatch.STOPPED: "warning",
    EnrollmentBatch.DISCARDED: "default",
}
COUNTS = "admin/enrollments/batch_counts.html"


class BatchForm(FormWithFile, forms.Form):
    course = forms.ModelChoiceField(Course.objects.none(), widget=UnfoldAdminSelectWidget)
    file = forms.FileField(
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".csv,text/csv"}),
        help_text="CSV in UTF-8: e-mail, name. At most 5,000 learners.",
    )
    reason = forms.CharField(max_length=300, widget=UnfoldAdminTextInputWidget)
    payer = forms.CharField(
        max_length=140,
        help_text="Who pays for these enrollments, or answers for them.",
        widget=UnfoldAdminTextInputWidget,
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        course: Any = self.fields["course"]
        course.queryset = Course.objects.on_sale().order_by("title")


def _draft(*, by: str, course: Course, file: Any, reason: str, payer: str) -> Outcome:
    purpose = Purpose(reason, payer)
    batch = batches.draft(course, file.read(), purpose=purpose, by=by)
    if batch.status in EnrollmentBatch.WITH_ROWS:
        return Outcome("sent again", "This list was started before: here it is.", row=batch)
    return Outcome("drafted", "Nobody is enrolled yet. Look at the lines, then start.", row=batch)


DRAFT = Decision(
    "Enroll many",
    run=_draft,
    permission="enroll",
    button="Check the list",
    done="drafted",
    form=BatchForm,
    consequence="Nobody is enrolled by this: the next page says what each line would do.",
    scope=LIST,
)
START = Decision(
    "Enroll these learners",
    run=batches.start,
    permission="enroll",
    done="started",
    consequence="Each good line becomes a free enrollment, access in the LMS and one e-mail.",
    statuses=(EnrollmentBatch.DRAFT,),
    scope=ONE_ROW,
)
STOP = Decision(
    "Stop",
    run=batches.stop,
    permission="enroll",
    done="stopped",
    form=ReasonForm,
    entry_field="reason",
    is_run_told_why=False,
    consequence=(
        "Nobody more is enrolled. Whoever is enrolled already stays so, and still gets access and"
        " the e-mail. A batch that is stopped does not go on; send the list again with another"
        " reason for those who are left."
    ),
    statuses=(EnrollmentBatch.STARTED,),
    scope=ONE_ROW,
)
DISCARD = Decision(
    "Discard",
    run=batches.discard,
    permission="enroll",
    done="discarded",
    consequence="Nobody is enrolled, and the addresses are forgotten.",
    statuses=(EnrollmentBatch.DRAFT,),
    scope=ONE_ROW,
)


@admin.register(EnrollmentBatch)
class EnrollmentBatchAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "course", "payer", "reason", "state", "drafted_by", "started_by")
    list_filter = ("status",)
    list_select_related = ("course",)
    search_fields = ("payer", "reason", "drafted_by", "course__title")
    is_small = True
    ordering = ("-created_at",)
    fields = (
        "state",
        "course",
        "reason",
        "payer",
        "drafted_by",
        "created_at",
        "started_by",
        "started_at",
    )
    readonly_fields = fields
    decisions = {"enroll": DRAFT, "start": START, "stop": STOP, "discard": DISCARD}
    change_form_outer_before_template = "admin/enrollments/batch.html"

    def is_offered(self, decision: Decision, row: EnrollmentBatch) -> bool:
        is_possible = decision is not START or row.course.is_on_sale
        return is_possible and super().is_offered(decision, row)

    @display(description="status", ordering="status", label=COLORS)
    def state(self, batch: EnrollmentBatch) -> str:
        return batch.status

    def facts(self, batch: EnrollmentBatch) -> list[tuple[str, str]]:
        known = [("Course", str(batch.course)), ("Payer", batch.payer), ("Reason", batch.reason)]
        if batch.status in EnrollmentBatch.WITH_ROWS:
            counts = batches.counts_of(batch)
            enrolled = counts.giving_access + counts.with_access
            return [*known, ("Enrolled", str(enrolled)), ("Waiting", str(counts.waiting))]
        lines = batches.lines_of(batch)
        bad = sum(bool(line.problem) for line in lines)
        return [
            *known,
            ("To be enrolled", str(len(lines) - bad)),
            ("With a problem", str(bad)),
        ]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        batch = options.get("obj")
        more = _context(batch) if batch else {}
        return super().render_change_form(request, {**context, **more}, *args, **options)

    def get_urls(self) -> list[URLPattern]:
        counts = self.admin_site.admin_view(self.counts)
        name = "enrollments_enrollmentbatch_counts"
        return [path("<uuid:key>/counts/", counts, name=name), *super().get_urls()]

    def counts(self, request: HttpRequest, key: UUID) -> HttpResponse:
        """Show how far a batch is, for its page, which asks again every few seconds."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        batch = EnrollmentBatch.objects.filter(pk=key).first()
        if batch is None:
            raise Http404
        return render(request, COUNTS, {"batch": batch, "counts": batches.counts_of(batch)})


def _context(batch: EnrollmentBatch) -> dict[str, Any]:
    """Return what is shown above the fields of a batch: its lines, or how far it is."""
    if batch.status not in EnrollmentBatch.WITH_ROWS:
        lines = batches.lines_of(batch)
        bad = [(line.number, line.email, line.problem_text) for line in lines if line.problem]
        return {"batch": batch, "lines": lines, "bad": bad, "good": len(lines) - len(bad)}
    rows = BatchRow.objects.filter(batch=batch).exclude(problem="").order_by("number")
    bad = [(row.number, row.address, row.get_problem_display()) for row in rows]
    return {"batch": batch, "counts": batches.counts_of(batch), "bad": bad}


@admin.register(BatchRow)
class BatchRowAdmin(QueueAdmin):
    list_display: tuple[str, ...] = (
        "number",
        "address",
        "name",
        "state",
        "problem",
        "attempts",
        "last_error",
    )
    list_filter = ("status", "problem")
    search_fields = ("^address",)
    id_fields: tuple[str, ...] = ("pk", "batch_id", "enrollment_id")
    ordering = ("pk",)
    fields = (
        "batch",
        "number",
        "address",
        "name",
        "state",
        "problem",
        "enrollment",
        "attempts",
        "next_attempt_at",
        "last_error",
        "created_at",
        "finished_at",
    )
    readonly_fields = fields
    list_select_related: list[str] = []
