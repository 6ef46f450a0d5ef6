from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from courses.models import Course
from lms_sync.diagnosis import Result, examine


class Command(BaseCommand):
    help = (
        "Test the connection to the LMS: address, key, roles, driver and one course. Ends with 1"
        " when something is wrong."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--course", metavar="SLUG", help="a course of the catalogue to look up in the LMS"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        results = []
        for result in examine(self._course(options["course"])):
            self._show(result)
            results.append(result)
        if not results[-1].ok:
            raise CommandError("The LMS cannot be used as it is set up now.")
        self.stdout.write(self.style.SUCCESS("All is well."))

    def _course(self, slug: str | None) -> Course | None:
        if not slug:
            return None
        course = Course.objects.filter(slug=slug).first()
        if course is None:
            raise CommandError(f"The catalogue has no course {slug}.")
        return course

    def _show(self, result: Result) -> None:
        mark = self.style.SUCCESS("ok     ") if result.ok else self.style.ERROR("PROBLEM")
        self.stdout.write(f"{mark} {result.step}: {result.message}")
        if result.advice:
            self.stdout.write(f"        {result.advice}")
