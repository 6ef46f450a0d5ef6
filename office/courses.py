from dataclasses import replace

from django.contrib import admin
from django.http import HttpRequest
from unfold.decorators import display

from courses import lms_facts, publishing
from courses.models import Course
from grants import off_sale
from maaledu.money import Money
from office import course_facts
from office.base import EditAdmin
from office.course_forms import CourseForm
from office.decisions import NOBODY, Decision

PRICE_TYPED = ("Price", {"fields": ("price", "currency")})
PRICE_SHOWN = ("Price", {"fields": ("price_display",)})
AGREES, DIFFERS, NOT_ASKED = "agrees", "differs", "not asked"
AGREEMENT_COLORS = {AGREES: "success", DIFFERS: "warning", NOT_ASKED: "info"}
OFF_SALE = (
    "Nobody can buy the course any more. Learners who have it keep it. Who holds an unused coupon"
    " for it is told by e-mail, and gets no reminder while it is off sale."
)
PUBLISH = Decision(
    "Put on sale",
    run=publishing.publish,
    permission="change",
    done="put on sale",
    statuses=tuple(Course.TRANSITIONS[Course.Status.PUBLISHED]),
    run_by=NOBODY,
    needs_confirmation=False,
)
ARCHIVE = Decision(
    "Take off sale",
    run=off_sale.take_off_sale,
    permission="change",
    done="taken off sale",
    consequence=OFF_SALE,
    statuses=tuple(Course.TRANSITIONS[Course.Status.ARCHIVED]),
    run_by=NOBODY,
)


@admin.register(Course)
class CourseAdmin(EditAdmin):
    form = CourseForm
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
    readonly_fields = ("status", "enrolled", "in_the_lms", "created_at", "updated_at")
    decisions = {"publish": PUBLISH, "archive": ARCHIVE, "take_over": course_facts.TAKE_OVER}
    fieldsets = (
        (None, {"fields": ("title", "slug", "summary", "status")}),
        ("Course page", {"fields": ("description", "outcomes", "syllabus", "instructors")}),
        ("Sample lesson", {"fields": ("sample_title", "sample_text", "sample_video")}),
        ("Facts", {"fields": ("category", "level", "language", "duration_hours", "effort")}),
        PRICE_TYPED,
        ("Learning platform", {"fields": ("lms_platform", "lms_course_id", "in_the_lms")}),
        ("History", {"fields": ("enrolled", "created_at", "updated_at")}),
    )

    @admin.display(description="price", ordering="price")
    def price_display(self, course: Course) -> str:
        return "Free" if course.is_free else str(Money(course.price, course.currency))

    @admin.display(description="the LMS says")
    def in_the_lms(self, course: Course) -> str:
        return course_facts.shown(course)

    @display(description="LMS agrees", label=AGREEMENT_COLORS)
    def agrees(self, course: Course) -> str:
        if course.lms_facts_at is None:
            return NOT_ASKED
        return DIFFERS if lms_facts.differences(course) else AGREES

    def facts(self, row: Course) -> list[tuple[str, str]]:
        return course_facts.facts(row)

    def variant(self, decision: Decision, row: Course) -> Decision:
        """Warn of the coupons that become useless with the course."""
        number = off_sale.unused_coupons(row) if decision is ARCHIVE else 0
        if not number:
            return decision
        coupons = "1 person holds" if number == 1 else f"{number} people hold"
        return replace(decision, consequence=f"{coupons} an unused coupon for it. {OFF_SALE}")

    def is_offered(self, decision: Decision, row: Course) -> bool:
        is_offered = super().is_offered(decision, row)
        if decision is course_facts.TAKE_OVER:
            return is_offered and bool(lms_facts.takeable(row))
        return is_offered

    def get_fieldsets(self, request: HttpRequest, obj: Course | None = None) -> list:
        """Who may only look sees the price as buyers do, not in minor units."""
        is_edited = self.has_change_permission(request, obj) if obj else True
        return [
            PRICE_SHOWN if part == PRICE_TYPED and not is_edited else part
            for part in super().get_fieldsets(request, obj)
        ]

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
