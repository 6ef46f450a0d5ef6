from django.core.management.base import BaseCommand

from courses.derived import derive_again


class Command(BaseCommand):
    help = (
        "Derives the search text and the cover of the courses that an older release saved. Safe at"
        " any time; the nightly run does it too."
    )

    def handle(self, *args, **options) -> None:
        self.stdout.write(f"{derive_again()} courses brought up to date")
