"""What the status page says about an enrollment: derived from the rows each time, never stored."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import ceil

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from courses.models import Course
from enrollments import lms_jobs
from enrollments.models import Enrollment
from enrollments.sign_in import sign_in_words
from lms_sync import breaker
from lms_sync.errors import LmsUserDisabled
from lms_sync.models import SyncJob
from maaledu.direction import isolated
from maaledu.work.items import DEAD
from payments import papers
from payments.models import Payment
from payments.outcomes import PaymentOutcome, outcomes_of
from storefront import mail_words, payment_words
from storefront.access_words import WITH_STAFF
from storefront.mail_words import SENT_DETAILS

POLL_FAST, POLL_SLOW, POLL_SLOWEST = 2, 15, 60
# The seconds between two requests of a page while the step it waits for is younger than this.
# Pages that wait longer ask the slowest.
PACES = (
    (timedelta(minutes=2), POLL_FAST),
    (timedelta(minutes=10), 5),
    (timedelta(hours=1), POLL_SLOW),
)
A_FEW_SECONDS = timedelta(seconds=10)
USUALLY_DONE_AFTER = timedelta(minutes=2)
DONE, CURRENT, TODO, PROBLEM = "done", "current", "todo", "problem"


@dataclass(frozen=True)
class Step:
    label: str
    state: str
    at: datetime | None = None


@dataclass(frozen=True)
class StatusView:
    state: str
    headline: str
    detail: str
    steps: list[Step] = field(default_factory=list)
    next_attempt_at: datetime | None = None
    unavailable_since: datetime | None = None
    course_link: str = ""
    sign_in: str = ""
    register_link: str = ""
    retry_url: str = ""
    support_email: str = ""
    mail_problem: str = ""
    poll: bool = False
    poll_seconds: int = POLL_FAST
    papers: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def describe(
    enrollment: Enrollment,
    outcomes: list[PaymentOutcome] | None = None,
    mail_problem: str | None = None,
) -> StatusView:
    """Return the page's state, headline and steps.

    `outcomes` is what came of the enrollment's payments, and `mail_problem` why we cannot write to
    the learner, where the caller has them already.
    """
    if outcomes is None:
        outcomes = outcomes_of([enrollment])[enrollment.pk]
    if enrollment.status == Enrollment.PAID:
        view = _paid(enrollment)
    elif enrollment.status == Enrollment.PENDING:
        view = _pending(enrollment, outcomes[0] if outcomes else None)
    else:
        view = _over(enrollment, outcomes[0] if outcomes else None)
    notes = payment_words.notes(enrollment, outcomes)
    if mail_problem is None:
        mail_problem = mail_words.problem(enrollment)
    if mail_problem:
        detail = view.detail.replace(f" {SENT_DETAILS}", "")
        view = replace(view, detail=detail, mail_problem=mail_problem)
    shown = papers.kinds_of(enrollment, [outcome.payment for outcome in outcomes])
    return replace(view, notes=notes, papers=shown)


def _pending(enrollment: Enrollment, outcome: PaymentOutcome | None) -> StatusView:
    if outcome and outcome.state == Payment.PROCESSING:
        return StatusView(
            state="processing",
            headline=gettext("Your payment is on its way"),
            detail=gettext(
                "Your bank needs a little longer for this method. Your enrollment is reserved; we"
                " will e-mail you when it is done."
            ),
            steps=_steps(CURRENT, TODO, TODO),
            poll=True,
            poll_seconds=max(POLL_SLOW, _pace(enrollment)),
        )
    return StatusView(
        state="awaiting_payment",
        headline=gettext("Waiting for your payment"),
        detail=gettext(
            "As soon as the payment service confirms it, this page says so. If you have paid"
            " already, you need not pay again."
        ),
        steps=_steps(CURRENT, TODO, TODO),
        retry_url=outcome.payment.checkout_url if outcome else "",
        poll=True,
        poll_seconds=_pace(enrollment),
    )


def _pace(enrollment: Enrollment, next_try_at: datetime | None = None) -> int:
    """Return after how many seconds to ask again: more for an older step.

    Never before the next try, which is the first moment when anything can have changed.
    """
    now = timezone.now()
    age = now - (enrollment.paid_at or enrollment.created_at)
    usual = next((seconds for younger_than, seconds in PACES if age < younger_than), POLL_SLOWEST)
    until_tried = ceil((next_try_at - now).total_seconds()) + 1 if next_try_at else 0
    return max(usual, min(until_tried, POLL_SLOWEST))


def _steps(paid: str, access: str, ready: str, enrollment: Enrollment | None = None) -> list[Step]:
    first = _received(enrollment) if enrollment else gettext("Payment")
    second = (
        gettext("Your course is set up") if access == DONE else gettext("Setting up your course")
    )
    # Access that was lost was given once: that moment is not one of what is to come.
    given_at = enrollment.lms_synced_at if enrollment and access == DONE else None
    return [
        Step(first, paid, enrollment.paid_at if enrollment else None),
        Step(second, access, given_at),
        Step(gettext("Course ready"), ready, given_at),
    ]


def _paid(enrollment: Enrollment) -> StatusView:
    if enrollment.has_access:
        return StatusView(
            state="ready",
            headline=gettext("Your course is ready"),
            detail=f"{_enrolled(enrollment)} {SENT_DETAILS}",
            steps=_steps(DONE, DONE, DONE, enrollment),
            course_link=enrollment.course_link,
            sign_in=sign_in_words(enrollment),
        )
    if enrollment.lms_status == Enrollment.LMS_LOST:
        return _with_staff(enrollment, "lost")
    job = SyncJob.objects.filter(dedupe_key=lms_jobs.job_key(enrollment)).first()
    if _is_refused(enrollment, job):
        return _with_staff(enrollment, "attention")
    outage = breaker.outage(job.platform if job else enrollment.lms_platform)
    if outage:
        return _unavailable(enrollment, outage.since, outage.next_try_at)
    return _being_set_up(enrollment, job)


def _enrolled(enrollment: Enrollment) -> str:
    names = {"email": enrollment.email, "course": isolated(enrollment.course_title)}
    return gettext("%(email)s is enrolled in %(course)s.") % names


def _being_set_up(enrollment: Enrollment, job: SyncJob | None) -> StatusView:
    if enrollment.lms_status == Enrollment.LMS_AWAITING:
        return _awaiting_account(enrollment)
    if job and job.last_error.startswith(LmsUserDisabled.code):
        return _with_staff(enrollment, "account_off")
    if _is_slow(enrollment, job):
        return _retrying(enrollment, _next_try(job))
    return StatusView(
        state="paid_setting_up",
        headline=_received(enrollment),
        detail=gettext(
            "We are setting up your course in the learning platform. This takes a few seconds."
        ),
        steps=_steps(DONE, CURRENT, TODO, enrollment),
        poll=True,
        poll_seconds=_pace(enrollment),
    )


def _awaiting_account(enrollment: Enrollment) -> StatusView:
    """What the learner has to do, and that we look for the account by ourselves."""
    steps = _steps(DONE, CURRENT, TODO, enrollment)
    return StatusView(
        state="awaiting_account",
        headline=gettext("One step is left: your account"),
        detail=gettext(
            "Your course waits for you on the learning platform. Create an account there with"
            " %(email)s, exactly this address, and open the link in the message that the platform"
            " sends you. We notice it by ourselves, and e-mail you when your course is ready."
        )
        % {"email": enrollment.email},
        steps=[steps[0], Step(gettext("Create your account"), CURRENT), steps[2]],
        register_link=enrollment.register_link,
        support_email=settings.SUPPORT_EMAIL,
        poll=True,
        poll_seconds=_pace(enrollment),
    )


def _is_refused(enrollment: Enrollment, job: SyncJob | None) -> bool:
    """Whether the LMS refused for good. The job decides: staff may have replayed it since."""
    return job.status == DEAD if job else enrollment.lms_status == Enrollment.LMS_FAILED


def _next_try(job: SyncJob | None) -> datetime | None:
    """Return when the job is tried next; None while it is overdue because no worker is free."""
    if job is None or job.next_attempt_at <= timezone.now() - A_FEW_SECONDS:
        return None
    return job.next_attempt_at


def _is_slow(enrollment: Enrollment, job: SyncJob | None) -> bool:
    """Whether the job failed before, waits for longer than a few seconds, or is minutes old.

    A job waits, for instance, when the LMS has a limit on new users.
    """
    now = timezone.now()
    waits = job is not None and (job.attempts > 0 or job.next_attempt_at > now + A_FEW_SECONDS)
    return waits or now - (enrollment.paid_at or enrollment.created_at) > USUALLY_DONE_AFTER


def _received(enrollment: Enrollment) -> str:
    is_unpaid = enrollment.kind in Enrollment.UNPAID_KINDS
    return gettext("Enrollment received") if is_unpaid else gettext("Payment received")


def _with_staff(enrollment: Enrollment, state: str) -> StatusView:
    headline, detail = WITH_STAFF[state]
    return StatusView(
        state=state,
        headline=gettext(headline),
        detail=gettext(detail).format(email=enrollment.email),
        steps=_steps(DONE, PROBLEM, TODO, enrollment),
        support_email=settings.SUPPORT_EMAIL,
        poll=True,
        poll_seconds=max(POLL_SLOW, _pace(enrollment)),
    )


def _unavailable(
    enrollment: Enrollment, since: datetime | None, next_try_at: datetime | None
) -> StatusView:
    return StatusView(
        state="lms_unavailable",
        headline=_received(enrollment),
        detail=gettext(
            "The learning platform is not answering just now. Your enrollment is safe: we keep"
            " trying, and e-mail you when your course is ready."
        ),
        steps=_steps(DONE, CURRENT, TODO, enrollment),
        unavailable_since=since,
        next_attempt_at=next_try_at,
        support_email=settings.SUPPORT_EMAIL,
        poll=True,
        poll_seconds=_pace(enrollment, next_try_at),
    )


def _retrying(enrollment: Enrollment, next_attempt_at: datetime | None) -> StatusView:
    return StatusView(
        state="retrying",
        headline=_received(enrollment),
        detail=gettext(
            "Setting up your course takes longer than usual. We keep trying, and e-mail you when it"
            " is ready."
        ),
        steps=_steps(DONE, CURRENT, TODO, enrollment),
        next_attempt_at=next_attempt_at,
        support_email=settings.SUPPORT_EMAIL,
        poll=True,
        poll_seconds=_pace(enrollment, next_attempt_at),
    )


def _over(enrollment: Enrollment, outcome: PaymentOutcome | None) -> StatusView:
    words = payment_words.of_ended(enrollment, outcome)
    on_sale = Course.objects.on_sale().filter(slug=enrollment.course_slug)
    may_retry = words.may_retry and on_sale.exists()
    return StatusView(
        state=words.state or enrollment.status,
        headline=words.headline,
        detail=words.detail,
        retry_url=reverse("checkout", args=[enrollment.course_slug]) if may_retry else "",
        support_email=settings.SUPPORT_EMAIL,
    )
