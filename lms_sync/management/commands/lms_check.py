from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from courses.models import Course
from lms_sync.diagnosis import configured_platforms, examine
from maaledu import diagnosis


class Command(BaseCommand):
    help = (
        "Test the connection to each LMS by trying what enrollments need, and look at every"
        " published course there. Ends with 1 when something is wrong."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--platform", choices=Course.Platform.values, help="only this one of the configured"
        )
        parser.add_argument(
            "--course", metavar="SLUG", help="a course of the catalogue to look up in its LMS"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        platform, slug = options["platform"], options["course"]
        course = self._course(slug) if slug else None
        if course:
            looked_at = {course.lms_platform: [course]}
        else:
            names = [platform] if platform else configured_platforms()
            looked_at = {name: self._published(name) for name in names}
        problems = []
        for name, courses in looked_at.items():
            for result in examine(name, courses):
                diagnosis.show(self, result)
                problems += [] if result.ok else [result]
        if any(result.step not in ("course", "catalogue") for result in problems):
            raise CommandError("The LMS cannot be used as it is set up now.")
        if problems:
            raise CommandError("The connection is good; some courses need attention.")
        self.stdout.write(self.style.SUCCESS("All is well."))

    def _published(self, platform: str) -> list[Course]:
        courses = Course.objects.published().filter(lms_platform=platform)
        return list(courses.order_by("slug"))

    def _course(self, slug: str) -> Course:
        course = Course.objects.filter(slug=slug).first()
        if course is None:
            raise CommandError(f"The catalogue has no course {slug}.")
        return course
