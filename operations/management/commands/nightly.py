from datetime import timedelta

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from enrollments import fraud_review
from grants.figures import late_applications
from lms_sync import reconcile as lms_reconcile
from operations import invariants, queues, steps
from operations.outages import announce_findings
from payments import disputes, reconcile, refunds

LOOK_BACK = timedelta(hours=48)


class Command(BaseCommand):
    help = (
        "The night's round: Stripe, the LMS's courses, the invariants, what is stuck, fraud"
        " signals, retention. Safe to repeat. A step that fails keeps no other from being made;"
        " staff are told, and the exit code is 1."
    )

    def handle(self, *args, **options) -> None:
        tonight = {
            "giving paid places their jobs": lambda: call_command(
                "repair_enrollments", stdout=self.stdout
            ),
            "asking Stripe for payments": lambda: self.say(
                reconcile.with_stripe(since=LOOK_BACK), "payments settled"
            ),
            "asking Stripe for refunds": lambda: self.say(
                refunds.reconcile(since=LOOK_BACK), "refunds found"
            ),
            "asking Stripe for disputes": lambda: self.say(
                disputes.reconcile(since=LOOK_BACK), "disputes found"
            ),
            "asking the learning platform for its courses": lambda: announce_findings(
                "courses", lms_reconcile.check_courses()
            ),
            "checking the invariants": lambda: announce_findings("invariants", invariants.verify()),
            "looking for unfinished work": lambda: announce_findings(
                "unfinished work", queues.stuck()
            ),
            "looking for late grant applications": lambda: announce_findings(
                "grant applications", late_applications()
            ),
            "looking for fraud": lambda: self.say(fraud_review.review(), "new fraud signals"),
            "deleting what is past its retention": lambda: call_command(
                "clean_up", stdout=self.stdout
            ),
        }
        failed = steps.failed(tonight)
        if failed:
            raise CommandError(
                f"Not done tonight: {', '.join(failed)}. The log says why, as `step failed`."
            )

    def say(self, count: int, what: str) -> None:
        self.stdout.write(f"{count} {what}")
