from collections.abc import Callable
from functools import partial

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from enrollments import fraud_review, lms_jobs
from grants.figures import late_applications
from lms_sync import reconcile as lms_reconcile
from operations import invariants, queues, steps
from operations.outages import announce_findings
from payments import reconcile

STEPS: dict[str, Callable[[], object]] = {
    "giving paid enrollments their jobs": lms_jobs.repair_jobs,
    "reconciling with Stripe": reconcile.reconcile_nightly,
    "asking the learning platform for its courses": partial(
        announce_findings, "courses", lms_reconcile.check_courses
    ),
    "checking the invariants": partial(announce_findings, "invariants", invariants.verify),
    "looking for unfinished work": partial(announce_findings, "unfinished work", queues.stuck),
    "looking for late grant applications": partial(
        announce_findings, "grant applications", late_applications
    ),
    "looking for fraud": fraud_review.review,
    "deleting expired sessions": partial(call_command, "clearsessions"),
    "deleting what is past its retention": queues.clean_up,
}
# What the result of a step counts, where it is printed.
COUNTED = {
    "giving paid enrollments their jobs": "jobs staged",
    "reconciling with Stripe": "changes at Stripe that no event reported",
    "looking for fraud": "new fraud signals",
    "deleting what is past its retention": "finished items deleted",
}


class Command(BaseCommand):
    help = (
        "Runs the nightly steps: Stripe, the LMS's courses, the invariants, stuck work, fraud"
        " signals, retention. Safe to repeat. A step that fails stops no other; staff are alerted,"
        " and the exit code is 1."
    )

    def handle(self, *args, **options) -> None:
        failed = steps.run_all(STEPS, report=self.report)
        if failed:
            raise CommandError(
                f"Not done tonight: {', '.join(failed)}. The log says why, as `step failed`."
            )

    def report(self, step: str, result: object) -> None:
        if step in COUNTED:
            self.stdout.write(f"{result} {COUNTED[step]}")
