"""One row of everything that the office has a page for, each with several of what hangs on it."""

from datetime import date, datetime, timedelta

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group, Permission
from django.utils import timezone

from accounts.models import ApiKey, AuditEntry, LearnerNote, User
from affiliates.models import (
    Affiliate,
    Balance,
    Commission,
    FraudSignal,
    LedgerEntry,
    Payout,
    PayoutBatch,
    PayoutItem,
)
from courses.models import Course
from courses.profiles import InstructorProfile
from enrollments.models import (
    AccessComparison,
    AccessDifference,
    BatchRow,
    Enrollment,
    EnrollmentBatch,
    EnrollmentEvent,
)
from grants.models import Grant, GrantEvent, MessageTemplate, Program, Refusal
from legacy.models import ImportedRow, ImportProposal, ImportRun
from lms_sync.models import DeadLetter, PlatformState, SyncAttempt, SyncJob
from notifications.models import Alert, AlertNotice, Email, MailState, UndeliverableAddress
from payments.models import (
    Dispute,
    EarlyFraudWarning,
    Payment,
    Reconciliation,
    Refund,
    RefundRequest,
    StripeEvent,
    WebhookProblem,
)
from tests.factories import COMPLETE, make_course, make_payment, make_pending, taught_by

THREE = (1, 2, 3)
MONEY = {"currency": "usd", "amount": 100}


def make_rich_rows(staff: User) -> None:
    """Make them; of several of a kind, the first has most that hangs on it."""
    now = timezone.now()
    course = make_course(**COMPLETE, instructors=taught_by("Ada, Analyst", "Ben, Builder"))
    enrollment = _sale(course, now)
    _affiliate(staff, course, enrollment, now)
    _grant(course, now)
    _lms(enrollment, now)
    _platform(now)
    _people(staff)


def _sale(course: Course, now: datetime) -> Enrollment:
    enrollment, payment = make_pending(course, email="ada@example.com", lms_status="failed")
    others = [make_payment(enrollment, attempt=each, status="paid") for each in (2, 3)]
    got = {"status": "paid", "currency_received": "usd", "paid_at": now}
    Payment.objects.filter(enrollment=enrollment).update(amount_received=49900, **got)
    Payment.objects.filter(pk__in=[each.pk for each in others]).update(review_reason="duplicate")
    Enrollment.objects.filter(pk=enrollment.pk).update(status="paid", paid_at=now)
    Refund.objects.bulk_create(
        Refund(payment=each, payment_intent_id="pi_1", source="staff", status="succeeded",
               reason="requested_by_customer",
               idempotency_key=f"r{number}{each.pk}", requested_by="boss@example.com", **MONEY)
        for number in THREE for each in (payment, *others)
    )  # fmt: skip
    Dispute.objects.bulk_create(
        Dispute(payment=each, payment_intent_id="pi_1", stripe_dispute_id=f"dp_{number}{each.pk}",
                status="open", stripe_status="needs_response",
                reason="product_not_received", evidence_due_by=now, **MONEY)
        for number in THREE for each in (payment, *others)
    )  # fmt: skip
    EarlyFraudWarning.objects.bulk_create(
        EarlyFraudWarning(payment=payment, payment_intent_id="pi_1",
                          fraud_type="made_with_lost_card",
                          stripe_warning_id=f"issfr_{number}", warned_at=now, is_actionable=True)
        for number in THREE
    )  # fmt: skip
    RefundRequest.objects.create(payment=payment, reason="Too long.")
    EnrollmentEvent.objects.bulk_create(
        EnrollmentEvent(
            enrollment=enrollment, from_status="pending", to_status="paid", actor="evt_1"
        )
        for _ in THREE
    )
    StripeEvent.objects.create(event_id="evt_1", type="any", livemode=False, payload={"a": 1})
    WebhookProblem.objects.create(kind="secret", detail="d")
    Reconciliation.objects.create(kind="payments", since=now)
    enrollment.refresh_from_db()
    return enrollment


def _affiliate(staff: User, course: Course, sale: Enrollment, now: datetime) -> None:
    owner = User.objects.create_user("partner@example.com")
    affiliate = Affiliate.objects.create(
        user=owner, email=owner.email, alias_key="a", name="Ada's club", rate_basis_points=1000,
        tax_country="DE", terms_accepted_at=now, code="ADA", status="active",
    )  # fmt: skip
    Enrollment.objects.filter(pk=sale.pk).update(
        affiliate_id=affiliate.pk, referral_code="ADA", commission_rate=1000, commission_base=49900
    )
    Balance.objects.create(affiliate=affiliate, currency="usd", payable=300)
    Commission.objects.create(
        enrollment_id=sale.pk, affiliate=affiliate, course_slug=course.slug, available_at=now,
        course_title=course.title, base=49900, rate_basis_points=1000, **MONEY,
    )  # fmt: skip
    payee = {"payee_name": "Ada", "details_sealed": b"", "details_hint": "…00"}
    other = User.objects.create_user("finance@example.com", is_staff=True)
    batch = PayoutBatch.objects.create(
        currency="usd", method=Affiliate.BANK, payable_on=now.date(), minimum=1, drafted_by=staff,
        status="released", released_by=other, released_at=now, exported_by=other, exported_at=now,
    )  # fmt: skip
    payout = Payout.objects.create(
        batch=batch, affiliate=affiliate, entry_count=3, status="released", **payee, **MONEY
    )
    keys = (f"commission:{sale.pk}", "k2", "k3")
    entries = LedgerEntry.objects.bulk_create(
        LedgerEntry(affiliate=affiliate, kind="commission", source_key=keys[number - 1],
                    available_at=now, created_by="s", enrollment_id=sale.pk, base=1000,
                    rate_basis_points=1000, payout_id=payout.pk, **MONEY)
        for number in THREE
    )  # fmt: skip
    PayoutItem.objects.bulk_create(
        PayoutItem(payout=payout, affiliate_id=affiliate.pk, entry=each, amount=100)
        for each in entries
    )
    FraudSignal.objects.bulk_create(
        FraudSignal(affiliate=affiliate, kind="same_device", dedupe_key=f"s{number}", detail="d",
                    enrollment_id=sale.pk)
        for number in THREE
    )  # fmt: skip
    run = ImportRun.objects.create(kind="apply", source="s", report_hash="h", exported_at=now)
    ImportedRow.objects.create(
        collection="users", source_id="1", outcome="imported", source_hash="h", run=run
    )
    ImportProposal.objects.create(
        kind="commission_odd", key="k", difference=1, currency="usd", affiliate=affiliate
    )


def _grant(course: Course, now: datetime) -> None:
    program = Program.objects.create(name="Fund", currency="usd", budget_amount=100_000)
    grant = Grant.objects.create(
        course=course, program=program, email="gil@example.com", name="Gil", situation="S",
        motivation="M", consented_at=now, answer_due_on=date(2030, 1, 1), currency="usd",
        code="MAAL-JLQJ-MLKK-ZVPW", status="approved", percent=50, price_at_approval=49900,
    )  # fmt: skip
    GrantEvent.objects.bulk_create(GrantEvent(grant=grant, what="w", actor="s") for _ in THREE)
    Refusal.objects.bulk_create(
        Refusal(grant=grant, reason="foreign", course_slug=course.slug, tried_by="x") for _ in THREE
    )
    MessageTemplate.objects.create(name="Welcome", used_for="approval", text="T")


def _lms(enrollment: Enrollment, now: datetime) -> None:
    job = SyncJob.objects.create(
        dedupe_key=f"enroll:{enrollment.pk}:1", status="dead", platform="frappe", course_id="c",
        email=enrollment.email, payload={"enrollment_id": str(enrollment.pk)},
    )  # fmt: skip
    SyncAttempt.objects.bulk_create(
        SyncAttempt(job=job, number=number, started_at=now, duration_ms=1, outcome="LMS_REFUSED")
        for number in THREE
    )
    DeadLetter.objects.create(
        job=job, reason="LMS_REFUSED", first_attempt_at=now, last_attempt_at=now
    )
    PlatformState.objects.get_or_create(name="frappe")
    AccessComparison.objects.create(platform="frappe")
    AccessDifference.objects.create(
        enrollment=enrollment, platform="frappe", course_id="c", kind="missing"
    )
    batch = EnrollmentBatch.objects.create(
        course=enrollment.course, reason="R", payer="P", digest="d", drafted_by="s",
        status=EnrollmentBatch.STARTED, started_by="s", started_at=now,
    )  # fmt: skip
    BatchRow.objects.bulk_create(
        BatchRow(batch=batch, number=number, platform="frappe", address=f"{number}@example.com",
                 enrollment=enrollment if number == 1 else None)
        for number in THREE
    )  # fmt: skip


def _platform(now: datetime) -> None:
    Email.objects.create(dedupe_key="m", kind="any", to="ada@example.com", status="dead")
    MailState.objects.get_or_create(name="smtp")
    UndeliverableAddress.objects.create(email="gone@example.com", reason="bounced")
    alert = Alert.objects.create(key="k", kind="k", subject="Frappe sync permanently failed")
    AlertNotice.objects.bulk_create(
        AlertNotice(alert=alert, channel="slack", action="trigger", dedupe_key=f"n{number}")
        for number in THREE
    )
    InstructorProfile.objects.create(name="Ada")


def _people(staff: User) -> None:
    group = Group.objects.create(name="three")
    some = Permission.objects.order_by("pk")[:3]
    group.permissions.set(some)
    staff.groups.add(group)
    staff.user_permissions.set(some)
    Authenticator.objects.create(user=staff, type="totp", data={})
    EmailAddress.objects.get_or_create(user=staff, email=staff.email)
    LearnerNote.objects.create(email="ada@example.com", text="T", written_by="s")
    later = timezone.now() + timedelta(days=1)
    ApiKey.objects.create(
        user=staff, name="K", prefix="p", secret_hash="h", scopes=[], expires_at=later
    )
    AuditEntry.objects.create(actor="s", kind=AuditEntry.DECIDED, what="w")
