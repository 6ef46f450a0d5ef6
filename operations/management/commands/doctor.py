import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from maaledu import diagnosis
from operations import doctor
from operations.doctor.serving import wait_until_ready

NOTED, WRONG = 1, 2


class Command(BaseCommand):
    help = (
        "Tries everything that a shop needs: settings, files, disk, database, cache, broker, work,"
        " its own address, mail, Stripe, each LMS. Exit code 0: all is well; 1: something is worth"
        " a look; 2: something is wrong."
    )
    # It says itself what the checks find, and goes on.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--wait",
            type=int,
            default=0,
            metavar="SECONDS",
            help="first wait so long at most for this release to answer and to work",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["wait"] and not wait_until_ready(options["wait"]):
            self.stdout.write("The shop did not answer as this release in time, or nobody works.")
        heading, wrong, noted = "", 0, 0
        for part, result in doctor.examine():
            if part != heading:
                heading = part
                self.stdout.write(self.style.MIGRATE_HEADING(part))
            diagnosis.show(self, result)
            wrong += not result.ok
            noted += result.ok and (result.is_note and bool(result.advice))
        self.stdout.write(f"{wrong} wrong, {noted} worth a look")
        sys.exit(WRONG if wrong else NOTED if noted else 0)
