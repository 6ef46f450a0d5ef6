from dataclasses import replace
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html_join
from unfold.decorators import display

from courses import lms_facts, publishing
from courses.models import Course
from grants import off_sale
from maaledu.money import Money
from office import course_covers, course_facts
from office.base import EditAdmin
from office.cells import once
from office.course_covers import REMOVE_COVER, SET_COVER
from office.course_forms import ROWS, CourseForm
from office.decisions import NOBODY, Decision
from office.price_history import price_history
from office.rows import words

AGREES, DIFFERS, NOT_ASKED = "agrees", "differs", "not asked"
AGREEMENT_COLORS = {AGREES: "success", DIFFERS: "warning", NOT_ASKED: "info"}
OFF_SALE = (
    "Nobody can buy the course any more. Learners who have it keep it. Who holds an unused coupon"
    " for it is told by e-mail within minutes, and gets no reminder while it is off sale."
)
PUBLISH = Decision(
    "Put on sale",
    run=publishing.publish,
    permission="publish",
    done="put on sale",
    statuses=tuple(Course.TRANSITIONS[Course.Status.PUBLISHED]),
    run_by=NOBODY,
    needs_confirmation=False,
)
ARCHIVE = Decision(
    "Take off sale",
    run=off_sale.take_off_sale,
    permission="publish",
    done="taken off sale",
    consequence=OFF_SALE,
    statuses=(Course.Status.PUBLISHED,),
    run_by=NOBODY,
)
ASK_LMS = Decision(
    "Ask the LMS again",
    run=lms_facts.ask_again,
    permission="change",
    done="to be asked about in the LMS",
    run_by=NOBODY,
    needs_confirmation=False,
)
WRITTEN = ("description", "outcomes", "syllabus", "instructors", "cover_shown")
# Who may only look sees these instead: as buyers do, and not as they are typed or kept.
SHOWN = {"price": "price_display", "currency": None, **{name: f"{name}_shown" for name in ROWS}}


@admin.register(Course)
class CourseAdmin(EditAdmin):
    form = CourseForm
    change_form_outer_before_template = "admin/courses/readiness.html"
    change_form_before_template = "admin/courses/enter_saves.html"
    list_display = (
        "title",
        "category",
        "level",
        "price_display",
        "status",
        "lms_platform",
        "agrees",
        "updated_at",
    )
    list_filter = ("status", "category", "level", "lms_platform", "currency")
    search_fields = ("title", "slug", "summary", "lms_course_id")
    prepopulated_fields = {"slug": ("title",)}
    readonly_fields = (
        "status",
        "cover_shown",
        "price_history",
        "enrolled",
        "in_the_lms",
        "created_at",
        "updated_at",
    )
    row_decisions = ("publish",)
    decisions = {
        "publish": PUBLISH,
        "archive": ARCHIVE,
        "take_over": course_facts.TAKE_OVER,
        "ask_lms": ASK_LMS,
        "set_cover": SET_COVER,
        "remove_cover": REMOVE_COVER,
    }
    fieldsets = (
        (None, {"fields": ("title", "slug", "summary", "status")}),
        ("Course page", {"fields": WRITTEN}),
        ("Sample lesson", {"fields": ("sample_title", "sample_text", "sample_video")}),
        ("Facts", {"fields": ("category", "level", "language", "duration_hours", "effort")}),
        ("Price", {"fields": ("price", "currency", "price_history")}),
        ("Learning platform", {"fields": ("lms_platform", "lms_course_id", "in_the_lms")}),
        ("History", {"fields": ("enrolled", "created_at", "updated_at")}),
    )

    @admin.display(description="price", ordering="price")
    def price_display(self, course: Course) -> str:
        return "Free" if course.is_free else str(Money(course.price, course.currency))

    @admin.display(description="cover")
    def cover_shown(self, course: Course) -> str:
        return course_covers.shown(course) if course.slug else ""

    @admin.display(description="price so far")
    @once
    def price_history(self, course: Course) -> str:
        return price_history(course)

    @admin.display(description="enrolled")
    @once
    def enrolled(self, course: Course) -> str:
        return str(course.enrolled)

    @admin.display(description="the LMS says")
    def in_the_lms(self, course: Course) -> str:
        return course_facts.shown(course)

    @admin.display(description="outcomes")
    def outcomes_shown(self, course: Course) -> str:
        return _one_per_line(course, "outcomes")

    @admin.display(description="syllabus")
    def syllabus_shown(self, course: Course) -> str:
        return _one_per_line(course, "syllabus")

    @admin.display(description="instructors")
    def instructors_shown(self, course: Course) -> str:
        return _one_per_line(course, "instructors")

    @display(description="LMS agrees", label=AGREEMENT_COLORS)
    def agrees(self, course: Course) -> str:
        if course.lms_facts_at is None:
            return NOT_ASKED
        return DIFFERS if lms_facts.differences(course) else AGREES

    def facts(self, row: Course) -> list[tuple[str, str]]:
        return [
            ("Status", row.get_status_display()),
            ("Price", self.price_display(row)),
            ("Learners", str(row.enrolled)),
            ("People with an unused coupon", str(off_sale.unused_coupons(row))),
        ]

    def variant(self, decision: Decision, row: Course) -> Decision:
        """Warn of the coupons that become useless with the course."""
        number = off_sale.unused_coupons(row) if decision is ARCHIVE else 0
        if not number:
            return decision
        coupons = "1 person holds" if number == 1 else f"{number} people hold"
        return replace(decision, consequence=f"{coupons} an unused coupon for it. {OFF_SALE}")

    def is_offered(self, decision: Decision, row: Course) -> bool:
        is_offered = super().is_offered(decision, row)
        if decision is PUBLISH:
            return is_offered and publishing.is_ready(row)
        if decision is course_facts.TAKE_OVER:
            return is_offered and bool(lms_facts.takeable(row))
        if decision is REMOVE_COVER:
            return bool(row.cover)
        if decision is ASK_LMS:
            return not row.is_known_to_lms or row.lms_published is False
        return is_offered

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        """Show what is missing before the course can be sold, each with the way to its field."""
        course = options.get("obj")
        gaps, is_sold = [], True
        if course is not None and course.status != Course.Status.PUBLISHED:
            gaps, is_sold = publishing.gaps(course), False
        ways = {publishing.SELLER: reverse("office_seller")}
        found = [(gap, ways.get(gap.field, f"#id_{gap.field}")) for gap in gaps]
        context = {**context, "gaps": found, "is_sold": is_sold}
        return super().render_change_form(request, context, *args, **options)

    def get_fieldsets(self, request: HttpRequest, obj: Course | None = None) -> list:
        is_edited = self.has_change_permission(request, obj) if obj else True
        parts = super().get_fieldsets(request, obj)
        return parts if is_edited else [(title, _shown_part(part)) for title, part in parts]

    def view_on_site(self, obj: Course) -> str:
        """Return the page as the shop shows it, and its preview while it does not."""
        return obj.get_absolute_url() if obj.is_on_sale else obj.preview_url

    def get_prepopulated_fields(self, request: HttpRequest, obj: Course | None = None) -> dict:
        return {} if obj else super().get_prepopulated_fields(request, obj)

    def get_readonly_fields(
        self, request: HttpRequest, obj: Course | None = None
    ) -> tuple[str, ...]:
        """A slug is what buyers know a course by: it is fixed once the course has been on sale."""
        is_known = obj is not None and obj.status != Course.Status.DRAFT
        return (*self.readonly_fields, "slug") if is_known else self.readonly_fields

    def has_delete_permission(self, request: HttpRequest, obj: Course | None = None) -> bool:
        """Only a draft may be deleted: a course that has been on sale is archived."""
        return (
            obj is not None
            and obj.status == Course.Status.DRAFT
            and super().has_delete_permission(request, obj)
        )


def _shown_part(part: dict[str, Any]) -> dict[str, Any]:
    names = (SHOWN.get(name, name) for name in part["fields"])
    return {**part, "fields": tuple(filter(None, names))}


def _one_per_line(course: Course, name: str) -> str:
    rows = ((words(ROWS[name], [row]),) for row in getattr(course, name))
    return format_html_join("", "<div>{}</div>", rows)
