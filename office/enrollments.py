from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from unfold.decorators import action, display

from courses.models import Course
from enrollments import access_repairs, coupons
from enrollments.models import Enrollment, EnrollmentEvent
from maaledu.money import Money, rate_text
from office import refund_decision
from office.base import ReadOnlyAdmin, ReadOnlyInline
from office.cells import Coded, access_words, actor_words, link
from office.decisions import Decision
from office.enrollment_payments import PaymentInline, outcomes_of, payments_of
from office.filters import DaysFilter, NamedFilter, fixed
from office.learner_decisions import COMP, CORRECT_NAME, GIVE_BACK, MOVE, WITHDRAW
from office.payments import PAYMENT_COLORS
from payments import settlement

LMS_COLORS = {
    Enrollment.LMS_SUCCESS: "success",
    Enrollment.LMS_PENDING: "info",
    Enrollment.LMS_RETRYING: "warning",
    Enrollment.LMS_AWAITING: "info",
    Enrollment.LMS_FAILED: "danger",
    Enrollment.LMS_LOST: "danger",
}
# Why an enrollment ended; other codes are those of errors (`<app>/errors.py`).
ENDED_BECAUSE = {
    settlement.SESSION_EXPIRED: "the session ended unpaid",
    settlement.LEARNER_CANCELLED: "the learner turned back",
    settlement.REPLACED: "the buyer started again with another price, coupon or link",
    settlement.SUPERSEDED: "another payment of the buyer arrived first",
    settlement.ASYNC_PAYMENT_FAILED: "the bank refused the delayed payment",
    settlement.AMOUNT_MISMATCH: "another amount arrived than was asked for",
    coupons.LMS_REFUSED: "the learning platform refused the free enrollment",
}
REFUND = "refund"
RETRY_SYNC = Decision(
    "Retry LMS sync now",
    run=access_repairs.retry,
    permission="repair",
    done="retried",
    statuses=(Enrollment.PAID,),
    needs_confirmation=False,
)
ROLL_BACK = Decision(
    "Roll back a free grant that the LMS refused",
    run=coupons.roll_back,
    permission="repair",
    done="rolled back",
    consequence="It ends for good, its coupon can be used again, and the learner gets an e-mail.",
    statuses=(Enrollment.PAID,),
)


class EventInline(ReadOnlyInline):
    model = EnrollmentEvent
    fields = ("created_at", "from_status", "to_status", "who", "note")
    readonly_fields = fields
    hide_title = True

    @admin.display(description="by whom")
    def who(self, event: EnrollmentEvent) -> str:
        return actor_words(event.actor)


class AccessFilter(NamedFilter):
    title = "access"
    parameter_name = "access"
    question = ("missing", "Paid, and without access")

    def kept(self, queryset: Any) -> QuerySet[Enrollment]:
        return queryset.without_access(timezone.now())


@admin.register(Enrollment)
class EnrollmentAdmin(ReadOnlyAdmin):
    list_display = ("email", "course_title", "state", "access", "price", "created_at")
    list_filter = (
        ("created_at", DaysFilter),
        AccessFilter,
        "status",
        "lms_status",
        "kind",
        fixed("lms_platform", Course.Platform.choices, "LMS platform"),
    )
    sortable_by = ("created_at",)
    summed = "amount"
    views = (
        ("Paid without access", {"access": "missing"}),
        ("Paid", {"status__exact": Enrollment.PAID}),
        ("Refunded", {"status__exact": Enrollment.REFUNDED}),
        ("Taken away", {"status__exact": Enrollment.WITHDRAWN}),
        ("By a grant", {"kind__exact": Enrollment.KIND_GRANT}),
    )
    csv_columns = {
        "Begun": "created_at",
        "Paid": "paid_at",
        "Access since": "lms_synced_at",
        "E-mail": "email",
        "Name": "name",
        "Course": "course_title",
        "Kind": "kind",
        "Status": "status",
        "Access": "lms_status",
        "List price": "list_price",
        "Price": "amount",
        "Currency": "currency",
        "Affiliate's code": "referral_code",
        "Payment": "payment_reference",
        "Enrollment": "pk",
    }
    search_fields = (
        "^email",
        "token",
        "payment_reference",
        "lms_enrollment_id",
        "payments__stripe_session_id",
        "request_id",
    )
    ordering = ("-created_at",)
    list_select_related: list[str] = []
    fields = (
        "email",
        "name",
        "course_title",
        "state",
        "access",
        "price",
        "paid_at",
        "outcome",
        "kind",
        "created_at",
        "rebuilt_at",
        "listed",
        "discount_percent",
        "grant",
        "payment_reference",
        "ended_because",
        "course",
        "course_slug",
        "platform",
        "lms_course",
        "lms_enrollment",
        "origin",
        "user_made",
        "lms_synced",
        "access_generation",
        "progress_percent",
        "progress_at",
        "completed_at",
        "certificate",
        "affiliate",
        "referral_code",
        "referral_outcome",
        "rate",
        "request_id",
        "updated_at",
    )
    readonly_fields = fields
    inlines = (PaymentInline, EventInline)
    decisions = {
        "retry_sync": RETRY_SYNC,
        "roll_back": ROLL_BACK,
        "move": MOVE,
        "correct_name": CORRECT_NAME,
        "withdraw": WITHDRAW,
        "give_back": GIVE_BACK,
        "comp": COMP,
    }
    actions_detail = ("refund",)

    @display(description="status", ordering="status", label=PAYMENT_COLORS)
    def state(self, enrollment: Enrollment) -> str:
        return enrollment.status

    @display(description="access", ordering="lms_status", label=LMS_COLORS)
    def access(self, enrollment: Enrollment) -> Coded:
        return Coded((enrollment.lms_status, access_words(enrollment)))

    @admin.display(description="price", ordering="amount")
    def price(self, enrollment: Enrollment) -> Money:
        return Money(enrollment.amount, enrollment.currency)

    @admin.display(description="outcome of its payments")
    def outcome(self, enrollment: Enrollment) -> str:
        return "; ".join(each.label for each in outcomes_of(enrollment)) or "no payment"

    @admin.display(description="why it ended")
    def ended_because(self, enrollment: Enrollment) -> str:
        code = enrollment.failure_code
        return f"{ENDED_BECAUSE[code]} ({code})" if code in ENDED_BECAUSE else code

    @admin.display(description="LMS platform")
    def platform(self, enrollment: Enrollment) -> str:
        name = enrollment.lms_platform
        return str(dict(Course.Platform.choices).get(name, name))

    @admin.display(description="LMS course")
    def lms_course(self, enrollment: Enrollment) -> str:
        return enrollment.lms_course_id

    @admin.display(description="LMS enrollment")
    def lms_enrollment(self, enrollment: Enrollment) -> str:
        return enrollment.lms_enrollment_id

    @admin.display(description="LMS enrollment was")
    def origin(self, enrollment: Enrollment) -> str:
        return enrollment.get_lms_origin_display()

    @admin.display(description="LMS user made by us", boolean=True)
    def user_made(self, enrollment: Enrollment) -> bool:
        return enrollment.lms_user_made

    @admin.display(description="LMS synced at")
    def lms_synced(self, enrollment: Enrollment) -> str:
        if enrollment.lms_synced_at is None:
            return ""
        return date_format(enrollment.lms_synced_at, "DATETIME_FORMAT")

    @admin.display(description="certificate")
    def certificate(self, enrollment: Enrollment) -> str:
        if not enrollment.has_certificate:
            return "none"
        given_on = enrollment.certificate_on
        words = f"of {date_format(given_on)}" if given_on else "given"
        address = enrollment.certificate_link
        return link(address, words) if address else f"{words}, no link on the LMS's own host"

    @admin.display(description="grant")
    def grant(self, enrollment: Enrollment) -> str:
        if enrollment.grant_id is None:
            return ""
        return link(reverse("admin:grants_grant_change", args=[enrollment.grant_id]), "View grant")

    @admin.display(description="affiliate")
    def affiliate(self, enrollment: Enrollment) -> str:
        if enrollment.affiliate_id is None:
            return ""
        url = reverse("admin:affiliates_affiliate_change", args=[enrollment.affiliate_id])
        return link(url, enrollment.referral_code or "View affiliate")

    @admin.display(description="commission rate")
    def rate(self, enrollment: Enrollment) -> str:
        rate = enrollment.commission_rate
        return "" if rate is None else rate_text(rate)

    @admin.display(description="list price")
    def listed(self, enrollment: Enrollment) -> Money:
        return Money(enrollment.list_price, enrollment.currency)

    def has_refund_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm(refund_decision.PERMISSION)

    @action(description="Refund", url_path=REFUND, permissions=["refund"])
    def refund(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return refund_decision.refund_of_enrollment(self, request, object_id)

    def is_shown(self, request: HttpRequest, name: str, row: Any = None) -> bool:
        """Show the way to a refund where there is something left to refund."""
        if name == REFUND and row and not any(each.refundable for each in payments_of(row)):
            return False
        return super().is_shown(request, name, row)

    def rows_of_pages(self, request: HttpRequest) -> QuerySet[Enrollment]:
        return super().rows_of_pages(request).select_related("course")

    def is_offered(self, decision: Decision, row: Enrollment) -> bool:
        if not super().is_offered(decision, row):
            return False
        if decision in (MOVE, CORRECT_NAME, GIVE_BACK):
            return True
        if decision is WITHDRAW:
            return not row.amount
        if row.has_access:
            return False
        is_refused = row.kind == Enrollment.KIND_GRANT and row.lms_status == Enrollment.LMS_FAILED
        return decision is RETRY_SYNC or is_refused
