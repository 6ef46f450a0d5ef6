"""What must hold of access to the LMS: its jobs, what they recorded, and the confirmations."""

from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from enrollments import lms_jobs, mails, rebuilding
from enrollments.models import Enrollment, EnrollmentEvent
from lms_sync.models import SyncJob
from maaledu.work.items import DONE
from notifications.models import Email
from operations.invariants.reading import ALL, Scope, enrollment_key, in_batches

CLEAN_UP_MARGIN = timedelta(days=1)
OF_ACCESS = ("status", "access_generation", "lms_status", "lms_enrollment_id")


def check_paid_has_job(scope: Scope = ALL) -> list[str]:
    """I10: every paid enrollment without access has its LMS job."""
    waiting = Enrollment.objects.paid().filter(lms_status__in=Enrollment.LMS_UNGIVEN)
    found = []
    for batch in in_batches([waiting]):
        by_key = {lms_jobs.job_key(enrollment): enrollment for enrollment in batch}
        jobs = SyncJob.objects.filter(action=SyncJob.ENROLL, dedupe_key__in=list(by_key))
        known = set(jobs.values_list("dedupe_key", flat=True))
        found += [
            f"enrollment {enrollment.pk} is paid and has no LMS job"
            for key, enrollment in by_key.items()
            if key not in known
        ]
    return found


def check_job_has_paid(scope: Scope = ALL) -> list[str]:
    """I15: no LMS job for an enrollment that was never paid."""
    found = []
    jobs = SyncJob.objects.filter(action=SyncJob.ENROLL)
    if scope.since:
        jobs = jobs.filter(created_at__gte=scope.since)
    for batch in in_batches([jobs.values_list("dedupe_key", flat=True)]):
        of_key = {key: enrollment_key(key) for key in batch}
        events = EnrollmentEvent.objects.filter(
            to_status=Enrollment.PAID, enrollment_id__in=[pk for pk in of_key.values() if pk]
        )
        reached = set(events.values_list("enrollment_id", flat=True))
        found += [
            f"job {key} belongs to an enrollment that was never paid"
            for key, pk in of_key.items()
            if pk not in reached
        ]
    return found


def check_access_is_recorded(scope: Scope = ALL) -> list[str]:
    """R127: a job is done exactly when access was given, under the id the LMS gave.

    Only while finished jobs are kept.
    """
    found = []
    recent = Enrollment.objects.paid().exclude(_long_finished()).only(*OF_ACCESS)
    for batch in in_batches(scope.of(recent, "pk")):
        by_key = {lms_jobs.job_key(enrollment): enrollment for enrollment in batch}
        jobs = SyncJob.objects.filter(
            action=SyncJob.ENROLL, status=DONE, dedupe_key__in=list(by_key)
        )
        done = dict(jobs.values_list("dedupe_key", "lms_enrollment_id"))
        found += [
            f"enrollment {enrollment.pk} and its job disagree about access"
            for key, enrollment in by_key.items()
            if not _agree(enrollment, done.get(key))
        ]
    return found


def _agree(enrollment: Enrollment, lms_id: str | None) -> bool:
    was_given = enrollment.has_access or enrollment.lms_status == Enrollment.LMS_LOST
    return was_given == (lms_id is not None) and lms_id in (None, enrollment.lms_enrollment_id)


def check_one_confirmation(scope: Scope = ALL) -> list[str]:
    """I12, R139: one confirmation for each enrollment with access, and none without."""
    return [*_unconfirmed(scope), *_confirmed_without_access(scope)]


def _unconfirmed(scope: Scope) -> list[str]:
    found = []
    due = Enrollment.objects.exclude(lms_synced_at=None).exclude(_long_finished())
    for batch in in_batches(scope.of(due.values_list("pk", flat=True), "pk")):
        by_key = {f"{mails.PURCHASE_CONFIRMATION}:{pk}": pk for pk in batch}
        sent = Email.objects.filter(
            kind__in=mails.CONFIRMATION_KINDS, dedupe_key__in=list(by_key)
        ).values_list("dedupe_key", flat=True)
        unsent = {by_key[key]: key for key in by_key.keys() - set(sent)}
        # What was sent before a restore was lost with it.
        before = EnrollmentEvent.objects.filter(
            note=rebuilding.CONFIRMED_BEFORE, enrollment_id__in=list(unsent)
        )
        known = set(before.values_list("enrollment_id", flat=True)) if unsent else set()
        found += [key for pk, key in unsent.items() if pk not in known]
    return [f"{key} is missing" for key in sorted(found)]


def _confirmed_without_access(scope: Scope) -> list[str]:
    found = []
    sent = Email.objects.filter(kind__in=mails.CONFIRMATION_KINDS)
    if scope.since:
        sent = sent.filter(created_at__gte=scope.since)
    for batch in in_batches([sent.values_list("dedupe_key", flat=True)]):
        of_key = {key: enrollment_key(key) for key in batch}
        named = Enrollment.objects.filter(pk__in=[pk for pk in of_key.values() if pk])
        reached = set(named.exclude(lms_synced_at=None).values_list("pk", flat=True))
        found += [key for key, pk in of_key.items() if pk not in reached]
    return [f"{key} has no access behind it" for key in sorted(found)]


def _long_finished() -> Q:
    """Match those whose job and e-mail may have been deleted (decisions: kept for 90 days)."""
    return Q(lms_synced_at__lt=timezone.now() - settings.WORK_KEEP_FINISHED + CLEAN_UP_MARGIN)
