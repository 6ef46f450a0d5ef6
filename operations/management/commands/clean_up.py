from django.core.management.base import BaseCommand, CommandError

from operations import retention, steps


class Command(BaseCommand):
    help = (
        "Deletes what is past its retention, such as finished queue items and expired sessions, in"
        " small transactions. Safe to stop and to repeat; exits with 1 if a kind could not be"
        " deleted."
    )

    def handle(self, *args, **options) -> None:
        failed = steps.run_all(retention.STEPS, report=self.report)
        if failed:
            raise CommandError(f"Not deleted: {', '.join(failed)}. The log says why.")

    def report(self, what: str, deleted: object) -> None:
        if deleted:
            self.stdout.write(f"{deleted} deleted: {what}")
