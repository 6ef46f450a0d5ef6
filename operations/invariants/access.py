"""What must hold of access to the LMS: its jobs, what they recorded, and the confirmations."""

from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from enrollments import lms_jobs, mails
from enrollments.models import Enrollment, EnrollmentEvent
from lms_sync.models import SyncJob
from maaledu.work.items import DONE
from notifications.models import Email
from operations.invariants.reading import BATCH

CLEAN_UP_MARGIN = timedelta(days=1)


def check_paid_has_job() -> list[str]:
    """I10: every paid enrollment without access has its LMS job."""
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
    """R127: a job is done exactly when its enrollment has access, under the id the LMS gave.

    Only while finished jobs are kept.
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
    """Match those whose job and e-mail may have been deleted (decisions: kept for 90 days)."""
    return Q(lms_synced_at__lt=timezone.now() - settings.WORK_KEEP_FINISHED + CLEAN_UP_MARGIN)
