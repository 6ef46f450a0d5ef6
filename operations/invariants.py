"""What must hold at any moment, each as one check that names the rows for which it does not.

Source: contracts/reliability, section 1. Those of refunds, ledger and payouts are in
`money_invariants`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from itertools import islice

from django.conf import settings
from django.db.models import Count, F, Model, Q, QuerySet
from django.utils import timezone

from enrollments import coupons, lms_jobs, mails
from enrollments.models import Enrollment, EnrollmentEvent
from grants.models import Grant, Program
from lms_sync.models import DeadLetter, SyncJob
from maaledu.work.items import DEAD, DONE, RUNNING
from notifications.models import Email
from operations import money_invariants
from payments.models import Payment, StripeEvent

GRACE = timedelta(hours=1)
CLEAN_UP_MARGIN = timedelta(days=1)
BATCH = 500


def check_one_live_enrollment() -> list[str]:
    """I17: at most one live enrollment for each course and e-mail."""
    groups = (
        Enrollment.objects.live()
        .order_by()
        .values("course_id", "email")
        .annotate(rows=Count("pk"))
        .filter(rows__gt=1)
    )
    return [
        f"{g['rows']} live enrollments of {g['email']} in course {g['course_id']}" for g in groups
    ]


def check_one_open_payment() -> list[str]:
    """I3: at most one open payment for each enrollment."""
    groups = (
        Payment.objects.filter(status__in=Payment.OPEN)
        .order_by()
        .values("enrollment_id")
        .annotate(rows=Count("pk"))
        .filter(rows__gt=1)
    )
    return [f"{g['rows']} open payments of enrollment {g['enrollment_id']}" for g in groups]


def check_paid_is_paid_for() -> list[str]:
    """I15, I7: a paid enrollment has exactly one payment that fulfilled it, of its own amount; a
    free one has none.
    """
    found = []
    for enrollment, payments in _with_payments(Enrollment.objects.paid()):
        fulfilled = [
            p
            for p in payments
            if p.status == Payment.PAID and p.review_reason not in Payment.UNFULFILLED
        ]
        expected = 0 if enrollment.kind in Enrollment.UNPAID_KINDS else 1
        exact = all(
            (p.amount_received, p.currency_received) == (enrollment.amount, enrollment.currency)
            for p in fulfilled
        )
        if len(fulfilled) != expected or not exact:
            found.append(
                f"enrollment {enrollment.pk} is paid by {len(fulfilled)} payments instead of"
                f" {expected}, or by another amount"
            )
    return found


def check_received_is_fulfilled() -> list[str]:
    """I4: money that was received and not set aside for review has made its enrollment paid."""
    unset = Payment.objects.filter(status=Payment.PAID).exclude(
        review_reason__in=Payment.UNFULFILLED
    )
    ended = [Enrollment.PAID, Enrollment.REFUNDED]
    return [
        f"payment {p.pk} was received and its enrollment is {p.enrollment.status}"
        for p in unset.select_related("enrollment").iterator(BATCH)
        if p.enrollment.status not in ended
    ]


def check_paid_has_job() -> list[str]:
    """I10: every paid enrollment without access has its one LMS job: nothing is lost on the way."""
    paid = Enrollment.objects.paid().exclude(lms_status=Enrollment.LMS_SUCCESS)
    known = set(SyncJob.objects.filter(action=SyncJob.ENROLL).values_list("dedupe_key", flat=True))
    return [
        f"enrollment {e.pk} is paid and has no LMS job"
        for e in paid.iterator(BATCH)
        if lms_jobs.job_key(e) not in known
    ]


def check_job_has_paid() -> list[str]:
    """I15: no LMS job for an enrollment that was never paid."""
    reached = {
        str(pk)
        for pk in EnrollmentEvent.objects.filter(to_status=Enrollment.PAID).values_list(
            "enrollment_id", flat=True
        )
    }
    jobs = SyncJob.objects.filter(action=SyncJob.ENROLL).values_list("dedupe_key", flat=True)
    unpaid = (
        key
        for key in jobs.iterator(BATCH)
        if key.partition(":")[2].partition(":")[0] not in reached
    )
    return [f"job {key} belongs to an enrollment that was never paid" for key in unpaid]


def check_access_is_recorded() -> list[str]:
    """R127: a job is done exactly when its enrollment has access and an LMS enrollment id (as long as
    jobs are kept).
    """
    done = dict(
        SyncJob.objects.filter(action=SyncJob.ENROLL, status=DONE).values_list(
            "dedupe_key", "lms_enrollment_id"
        )
    )
    found = []
    for enrollment in Enrollment.objects.paid().exclude(_long_finished()).iterator(BATCH):
        lms_id = done.get(lms_jobs.job_key(enrollment))
        if enrollment.has_access != (lms_id is not None) or (
            lms_id is not None and lms_id != enrollment.lms_enrollment_id
        ):
            found.append(f"enrollment {enrollment.pk} and its job disagree about access")
    return found


def check_one_confirmation() -> list[str]:
    """I12, R139: one confirmation for each enrollment with access, and none without."""
    keys = set(
        Email.objects.filter(kind__in=mails.CONFIRMATION_KINDS).values_list("dedupe_key", flat=True)
    )
    reached = Enrollment.objects.exclude(lms_synced_at=None)
    with_access = {
        f"{mails.PURCHASE_CONFIRMATION}:{pk}" for pk in reached.values_list("pk", flat=True)
    }
    due = {
        f"{mails.PURCHASE_CONFIRMATION}:{pk}"
        for pk in reached.exclude(_long_finished()).values_list("pk", flat=True)
    }
    missing = [f"{key} is missing" for key in sorted(due - keys)]
    return missing + [f"{key} has no access behind it" for key in sorted(keys - with_access)]


def _long_finished() -> Q:
    """Enrollments whose job and e-mail may have been deleted by now (decisions: finished jobs are
    kept for 90 days).
    """
    return Q(lms_synced_at__lt=timezone.now() - settings.WORK_KEEP_FINISHED + CLEAN_UP_MARGIN)


def check_queues() -> list[str]:
    """I13: no claim outlives its lease by more than the grace, and none is kept without one."""
    limit_at = timezone.now() - GRACE
    return [
        f"{_name(model)} {pk} is held since its lease ended"
        for model in (StripeEvent, SyncJob, Email)
        for pk in model.objects.lapsed(limit_at).values_list("pk", flat=True)
    ] + [
        f"{_name(model)} {pk} is running without a lease"
        for model in (StripeEvent, SyncJob, Email)
        for pk in model.objects.filter(status=RUNNING, lease_until=None).values_list(
            "pk", flat=True
        )
    ]


def check_dead_letters() -> list[str]:
    """I14, R135: every dead LMS job has a letter about this death, of which staff were told; no
    letter is open about another job.
    """
    dead = list(SyncJob.objects.filter(status=DEAD).values_list("pk", "finished_at"))
    told = {
        job: last
        for job, last, at in DeadLetter.objects.values_list(
            "job_id", "last_attempt_at", "notification_sent_at"
        )
        if at
    }
    silent = [pk for pk, died_at in dead if pk not in told or (died_at and told[pk] < died_at)]
    stale = [
        letter
        for letter in DeadLetter.objects.open().select_related("job")
        if letter.job.status != DEAD
    ]
    return [
        f"dead job {pk} has no dead letter, or nobody was told of this death" for pk in silent
    ] + [f"dead letter {letter.pk} is open and its job is {letter.job.status}" for letter in stale]


def check_dead_events() -> list[str]:
    """R135: no event of Stripe's is left dead: what it says holds once its cause is mended and it
    is replayed.
    """
    dead = StripeEvent.objects.filter(status=DEAD).values_list("event_id", "type", "last_error")
    return [
        f"event {event_id} ({kind}) is dead and was not applied: {error}"
        for event_id, kind, error in dead
    ]


def check_pending_ends() -> list[str]:
    """I16: no enrollment is pending an hour after its session's end, unless a bank is still at work
    on it.
    """
    limit_at = timezone.now() - settings.STRIPE_SESSION_LIFETIME - GRACE
    old = Enrollment.objects.filter(status=Enrollment.PENDING, created_at__lt=limit_at)
    over = (
        enrollment for enrollment, payments in _with_payments(old) if not _is_processing(payments)
    )
    return [f"enrollment {e.pk} is pending since {e.created_at:%Y-%m-%d %H:%M}" for e in over]


def _with_payments(enrollments: QuerySet[Enrollment]) -> Iterator[tuple[Enrollment, list[Payment]]]:
    """Yield each with its payments, which are asked for BATCH enrollments at a time."""
    rows = enrollments.iterator(BATCH)
    while batch := list(islice(rows, BATCH)):
        payments: dict[object, list[Payment]] = {enrollment.pk: [] for enrollment in batch}
        for payment in Payment.objects.filter(enrollment_id__in=list(payments)):
            payments[payment.enrollment_id].append(payment)
        yield from ((enrollment, payments[enrollment.pk]) for enrollment in batch)


def _is_processing(payments: list[Payment]) -> bool:
    recent = timezone.now() - settings.STRIPE_SESSION_LIFETIME - GRACE
    return any(
        p.status == Payment.PROCESSING or (p.status == Payment.PENDING and p.created_at > recent)
        for p in payments
    )


def check_audit() -> list[str]:
    """I18: the trail of every enrollment leads from pending, step by step, to the status it has."""
    trails: dict[object, list[tuple[str, str]]] = {}
    for event in EnrollmentEvent.objects.order_by("created_at", "pk").iterator(BATCH):
        trails.setdefault(event.enrollment_id, []).append((event.from_status, event.to_status))
    statuses = Enrollment.objects.values_list("pk", "status")
    return [
        f"the trail of enrollment {pk} does not lead to {status}"
        for pk, status in statuses.iterator(BATCH)
        if not _leads(trails.get(pk, []), status)
    ]


def _leads(trail: list[tuple[str, str]], status: str) -> bool:
    at = Enrollment.PENDING
    for before, after in trail:
        if before != at:
            return False
        at = after
    return at == status


def check_events_once() -> list[str]:
    """I4: each Stripe event id is stored once, and none is done without an outcome."""
    ids = Counter(StripeEvent.objects.values_list("event_id", flat=True))
    blank = StripeEvent.objects.filter(status=DONE, outcome="").values_list("event_id", flat=True)
    return [f"event {key} is stored {n} times" for key, n in ids.items() if n > 1] + [
        f"event {key} is done without outcome" for key in blank
    ]


def check_attempts() -> list[str]:
    """I13: no item has used more attempts than claims."""
    return [
        f"{_name(model)} {pk} used more attempts than it had claims"
        for model in (SyncJob, Email)
        for pk in model.objects.filter(attempts__gt=F("fence")).values_list("pk", flat=True)
    ]


def check_coupon_at_most_once() -> list[str]:
    """I1: a coupon is attached to at most one live enrollment, and is redeemed exactly when a paid
    enrollment holds it.
    """
    holders: dict[object, list[Enrollment]] = {}
    for enrollment in Enrollment.objects.live().filter(grant_id__isnull=False).iterator(BATCH):
        holders.setdefault(enrollment.grant_id, []).append(enrollment)
    many = [
        f"grant {key} is held by {len(held)} live enrollments"
        for key, held in holders.items()
        if len(held) > 1
    ]
    return many + [
        line
        for grant in Grant.objects.exclude(code=None).iterator(BATCH)
        for line in _coupon(grant, holders.get(grant.pk, []))
    ]


def _coupon(grant: Grant, holders: list[Enrollment]) -> list[str]:
    paid = [holder for holder in holders if holder.status == Enrollment.PAID]
    redeemed = grant.status == Grant.REDEEMED
    if (
        redeemed
        and [holder.pk for holder in paid] != [grant.enrollment_id]
        and not _was_taken_back(grant)
    ):
        return [f"grant {grant.pk} is redeemed and no paid enrollment holds it"]
    if paid and not redeemed and grant.status != Grant.REVOKED:
        return [f"grant {grant.pk} is {grant.status} and a paid enrollment holds it"]
    return []


def _was_taken_back(grant: Grant) -> bool:
    """A refund ends the place and leaves the coupon used, unless staff give it back (decisions:
    refunds and disputes).

    So does a roll-back where the holder has another grant open by then.
    """
    ended = Q(status=Enrollment.REFUNDED) | Q(
        status=Enrollment.FAILED, failure_code=coupons.LMS_REFUSED
    )
    places = Enrollment.objects.filter(ended, grant_id=grant.pk)
    return grant.enrollment_id in set(places.values_list("pk", flat=True))


def check_coupon_is_not_stuck() -> list[str]:
    """I2: a coupon is reserved exactly while the enrollment that holds it is pending."""
    reserved = dict(Grant.objects.filter(status=Grant.RESERVED).values_list("enrollment_id", "pk"))
    pending = set(
        Enrollment.objects.filter(status=Enrollment.PENDING, grant_id__isnull=False).values_list(
            "pk", flat=True
        )
    )
    stuck = [
        f"grant {pk} is reserved by enrollment {key}, which is over"
        for key, pk in reserved.items()
        if key not in pending
    ]
    return stuck + [
        f"enrollment {key} is pending without its coupon" for key in pending if key not in reserved
    ]


def check_budgets() -> list[str]:
    """The budget of a program is never exceeded, and what it has committed is what its grants
    hold.
    """
    found = []
    for program in Program.objects.all():
        held = [grant for grant in program.grants.all() if grant.holds_budget]
        amount, places = sum(grant.committed_amount for grant in held), len(held)
        if (amount, places) != (program.committed_amount, program.committed_grants):
            told = f"{program.committed_amount} and {program.committed_grants} places"
            found.append(
                f"program {program.pk} has committed {told}, its grants hold {amount} and {places}"
                " places"
            )
        if program.is_overdrawn:
            found.append(f"program {program.pk} is over its budget")
    return found + _miscounted()


def _miscounted() -> list[str]:
    """A good coupon of a program is counted by it, and so is one that a paid place has used; one
    that is over is not.
    """
    funded = Grant.objects.filter(program_id__isnull=False)
    good = funded.filter(status__in=[Grant.APPROVED, Grant.RESERVED], holds_budget=False)
    used = funded.filter(status=Grant.REDEEMED, holds_budget=False)
    paid = set(
        Enrollment.objects.paid()
        .filter(pk__in=list(used.values_list("enrollment_id", flat=True)))
        .values_list("pk", flat=True)
    )
    over = Grant.objects.filter(
        status__in=[Grant.PENDING, Grant.REJECTED, Grant.EXPIRED, Grant.REVOKED], holds_budget=True
    )
    uncounted = [*good, *(grant for grant in used if grant.enrollment_id in paid)]
    return [
        f"grant {grant.pk} is {grant.status} and its program does not count it"
        for grant in uncounted
    ] + [f"grant {grant.pk} is {grant.status} and its program still counts it" for grant in over]


def _name(model: type[Model]) -> str:
    return str(model._meta.verbose_name)


CHECKS: tuple[Callable[[], list[str]], ...] = (
    check_one_live_enrollment,
    check_one_open_payment,
    check_paid_is_paid_for,
    check_received_is_fulfilled,
    check_paid_has_job,
    check_job_has_paid,
    check_access_is_recorded,
    check_one_confirmation,
    check_queues,
    check_dead_letters,
    check_dead_events,
    check_pending_ends,
    check_audit,
    check_events_once,
    check_attempts,
    check_coupon_at_most_once,
    check_coupon_is_not_stuck,
    check_budgets,
    *money_invariants.CHECKS,
)


def verify(checks: Iterable[Callable[[], list[str]]] = CHECKS) -> list[str]:
    """Run the checks and return what does not hold, each line headed by its check's name."""
    return [f"{check.__name__}: {line}" for check in checks for line in check()]
