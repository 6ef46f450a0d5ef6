from django.core.management.base import BaseCommand

from enrollments import lms_jobs


class Command(BaseCommand):
    help = "Gives every paid enrollment without access its LMS job, if it has none. Safe to repeat."

    def handle(self, *args, **options) -> None:
        self.stdout.write(f"{lms_jobs.repair_jobs()} jobs staged")
