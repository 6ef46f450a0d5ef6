from django.contrib import admin, messages
from django.http import HttpRequest

from courses import publishing
from courses.errors import CourseNotReady
from courses.models import Course, CourseQuerySet
from office.base import EditAdmin, note
from office.course_forms import CourseForm

PRICE_TYPED = ("Price", {"fields": ("price", "currency")})
PRICE_SHOWN = ("Price", {"fields": ("price_display",)})


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
        "updated_at",
    )
    list_filter = ("status", "category", "level", "lms_platform", "currency")
    search_fields = ("title", "slug", "summary", "lms_course_id")
    prepopulated_fields = {"slug": ("title",)}
    readonly_fields = ("status", "enrolled", "created_at", "updated_at")
    actions = ("publish", "archive")
    fieldsets = (
        (None, {"fields": ("title", "slug", "summary", "status")}),
        ("Course page", {"fields": ("description", "outcomes", "syllabus", "instructors")}),
        ("Facts", {"fields": ("category", "level", "language", "duration_hours", "effort")}),
        PRICE_TYPED,
        ("Learning platform", {"fields": ("lms_platform", "lms_course_id")}),
        ("History", {"fields": ("enrolled", "created_at", "updated_at")}),
    )

    @admin.display(description="price", ordering="price")
    def price_display(self, course: Course) -> str:
        return course.price_display

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

    @admin.action(description="Put on sale", permissions=["change"])
    def publish(self, request: HttpRequest, courses: CourseQuerySet) -> None:
        self._run(request, courses, publishing.publish, "put on sale")

    @admin.action(description="Take off sale", permissions=["change"])
    def archive(self, request: HttpRequest, courses: CourseQuerySet) -> None:
        self._run(request, courses, publishing.archive, "taken off sale")

    def _run(self, request: HttpRequest, courses: CourseQuerySet, move, done: str) -> None:
        moved = 0
        for course in courses:
            try:
                won = move(course)
            except CourseNotReady as error:
                self.message_user(request, error.message, messages.ERROR)
                continue
            if won:
                moved += 1
                note(request, course, done)
        self.message_user(
            request, f"{moved} {done}, {len(courses) - moved} skipped.", messages.SUCCESS
        )
