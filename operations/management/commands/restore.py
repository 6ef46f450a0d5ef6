from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from maaledu.errors import AppError
from operations.backups import restoring
from operations.backups.folder import Manifest
from payments.reconcile import LONGEST

PAYOUTS = (
    "Payouts that were made since then are not here, so that their amounts are owed again. Before"
    " payouts are drafted, book each as an adjustment, minus its amount, by the bank's or PayPal's"
    " list."
)


class Command(BaseCommand):
    help = (
        "Puts a backup in place of the database, adds what later migrations add, and brings back"
        " what Stripe knows of the time since, and compares with each LMS. Refuses while anybody is"
        " connected. Exit code 1 when it was refused, or something is left to do, which is named."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("backup", type=Path, help="the folder of one backup")
        parser.add_argument(
            "--replace",
            action="store_true",
            help="the database has enrollments, and what is not in the backup may be lost",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path = options["backup"]
        try:
            manifest = restoring.examine(path, replace=options["replace"])
            restoring.put_in_place(path, manifest)
        except AppError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"Restored {manifest.size} rows of {manifest.taken_at:%Y-%m-%d %H:%M} UTC, version"
            f" {manifest.version}."
        )
        self.stdout.write(PAYOUTS)
        self._bring_back(manifest)

    def _bring_back(self, manifest: Manifest) -> None:
        """Run what mends a restored database, each whether or not the one before succeeded."""
        days = min((timezone.now() - manifest.taken_at).days + 2, LONGEST.days)
        left = []
        for name, arguments in (
            ("reconcile_stripe", ["--days", str(days)]),
            ("reconcile_lms", []),
            ("verify_invariants", []),
        ):
            self.stdout.write(f"{name}:")
            try:
                call_command(name, *arguments, stdout=self.stdout)
            except (CommandError, AppError) as error:
                self.stdout.write(str(error))
                left.append(f"manage.py {name} {' '.join(arguments)}".strip())
        if left:
            raise CommandError(
                "The database is restored. Do what the lines above say, and run again:"
                f" {'; '.join(left)}."
            )
