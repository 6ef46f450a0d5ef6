from collections.abc import Callable
from datetime import timedelta

from django.core.management import call_command
from django.core.management.base import BaseCommand

from enrollments import disputes, fraud_review, invariants, reconcile, refunds
from enrollments.grant_figures import late_applications
from enrollments.outages import announce_findings
from lms_sync import reconcile as lms_reconcile
from maaledu import queues
from maaledu.errors import AppError

LOOK_BACK = timedelta(hours=48)


class Command(BaseCommand):
    help = "The night's round: Stripe, the LMS's courses, the invariants, what is stuck, fraud signals, retention. Safe to repeat."

    def handle(self, *args, **options) -> None:
        call_command("repair_enrollments", stdout=self.stdout)
        self.guarded("Stripe", self.reconcile_stripe)
        self.guarded("the learning platform", self.check_courses)
        announce_findings("invariants", invariants.verify())
        announce_findings("unfinished work", queues.stuck())
        announce_findings("grant applications", late_applications())
        self.stdout.write(f"{fraud_review.review()} new fraud signals")
        call_command("clean_up", stdout=self.stdout)

    def guarded(self, what: str, step: Callable[[], object]) -> None:
        """An outside service that is down tonight does not keep the rest of the round from being made."""
        try:
            step()
        except AppError as error:
            self.stderr.write(f"{what} could not be asked: {error.message}")

    def reconcile_stripe(self) -> None:
        self.stdout.write(f"{reconcile.with_stripe(since=LOOK_BACK)} payments settled")
        self.stdout.write(f"{refunds.reconcile(since=LOOK_BACK)} refunds found")
        self.stdout.write(f"{disputes.reconcile(since=LOOK_BACK)} disputes found")

    def check_courses(self) -> None:
        announce_findings("courses", lms_reconcile.check_courses())
