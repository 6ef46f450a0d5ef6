from django.contrib import admin

from enrollments.models import Enrollment, EnrollmentEvent
from office.base import ReadOnlyAdmin
from office.cells import actor_words, enrollment_link
from office.filters import DaysFilter, fixed


@admin.register(EnrollmentEvent)
class EnrollmentEventAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "learner", "course", "moved", "who", "note")
    list_filter = (
        ("created_at", DaysFilter),
        fixed("to_status", Enrollment.TRANSITIONS, "to what"),
    )
    sortable_by = ("created_at",)
    list_select_related = ("enrollment",)
    search_fields = ("enrollment__email",)
    id_fields = ("pk", "enrollment_id")
    ordering = ("-created_at",)

    @admin.display(description="learner")
    def learner(self, event: EnrollmentEvent) -> str:
        return enrollment_link(event.enrollment_id, event.enrollment.email)

    @admin.display(description="course")
    def course(self, event: EnrollmentEvent) -> str:
        return event.enrollment.course_title

    @admin.display(description="by whom")
    def who(self, event: EnrollmentEvent) -> str:
        return actor_words(event.actor)

    @admin.display(description="moved")
    def moved(self, event: EnrollmentEvent) -> str:
        return f"{event.from_status} → {event.to_status}"
