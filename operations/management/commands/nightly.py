from collections.abc import Callable
from functools import partial

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from affiliates import sale_mails
from courses.derived import derive_again
from courses.models import Course
from enrollments import fraud_review, lms_jobs
from grants.figures import late_applications
from lms_sync import reconcile as lms_reconcile
from operations import (
    access_reconciliation,
    heartbeats,
    invariants,
    queues,
    reconciliation,
    reports,
    retention,
    steps,
)
from operations.outages import announce_findings

MOST_NIGHTS = 7


def mail_sales() -> int:
    """Mail affiliates their sales of each day since the last night that was run."""
    last = heartbeats.last_seen().get(heartbeats.NIGHTLY)
    nights = (timezone.now().date() - last.at.date()).days if last else 1
    return sale_mails.stage_daily(days=min(max(nights, 1), MOST_NIGHTS))


STEPS: dict[str, Callable[[], object]] = {
    "giving paid enrollments their jobs": lms_jobs.repair_jobs,
    "reconciling with Stripe": reconciliation.run_nightly,
    # One by one, so that a platform that is down keeps no other's courses from being looked at.
    **{
        f"asking {platform.label} for its courses": partial(
            announce_findings,
            f"courses in {platform.label}",
            partial(lms_reconcile.course_problems, platform),
        )
        for platform in Course.Platform
    },
    "checking the invariants": partial(announce_findings, "invariants", invariants.verify_nightly),
    "looking for unfinished work": partial(announce_findings, "unfinished work", queues.stuck),
    "looking for late grant applications": partial(
        announce_findings, "grant applications", late_applications
    ),
    "looking for fraud": fraud_review.review,
    "bringing courses of an older release up to date": derive_again,
    "mailing the reports": reports.mail_due,
    "mailing affiliates their sales of the day": mail_sales,
    **{f"deleting {what}": step for what, step in retention.STEPS.items()},
    # Last: it is slow on purpose, as it makes a part of the calls that an LMS may get.
    "comparing enrollments with the learning platforms": access_reconciliation.run_nightly,
}
# What the result of a step counts, where it is printed.
COUNTED = {
    "giving paid enrollments their jobs": "jobs staged",
    "reconciling with Stripe": "changes at Stripe that no event reported",
    "comparing enrollments with the learning platforms": "new differences of access",
    "looking for fraud": "new fraud signals",
    "mailing the reports": "mails with reports",
    "mailing affiliates their sales of the day": "mails to affiliates",
    **{f"deleting {what}": f"deleted: {what}" for what in retention.STEPS},
}


class Command(BaseCommand):
    help = (
        "Runs the nightly steps: Stripe, the LMS's courses and enrollments, the invariants, stuck"
        " work, fraud signals, retention. Safe to repeat. A step that fails stops no other; staff"
        " are alerted, and the exit code is 1."
    )

    def handle(self, *args, **options) -> None:
        failed = steps.run_all(STEPS, report=self.report)
        # Also after a step that failed, which has its own alert: the night was run.
        heartbeats.note(heartbeats.NIGHTLY)
        if failed:
            raise CommandError(
                f"Not done tonight: {', '.join(failed)}. The log says why, as `step failed`."
            )

    def report(self, step: str, result: object) -> None:
        if step in COUNTED:
            self.stdout.write(f"{result} {COUNTED[step]}")
