from datetime import timedelta

from django.core.management.base import BaseCommand, CommandError, CommandParser

from maaledu.errors import AppError
from payments import reconcile


class Command(BaseCommand):
    help = (
        "Goes through the sessions completed at Stripe and settles what no event reported. Safe to"
        " repeat."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--hours", type=int, default=48, help="how far back to look (default: 48)"
        )

    def handle(self, *args, **options) -> None:
        try:
            settled = reconcile.settle_missed_sessions(since=timedelta(hours=options["hours"]))
        except AppError as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"{settled} payments settled")
