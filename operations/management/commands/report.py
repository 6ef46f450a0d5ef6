import json

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from operations import reports


class Command(BaseCommand):
    help = (
        "Shows the report of the last day, week or month that has ended, in UTC: queues, failed"
        " enrollments, accuracy of commissions, budgets, differences found, KPIs."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("period", choices=list(reports.SECTIONS))
        parser.add_argument("--json", action="store_true", help="for programs")

    def handle(self, *args, **options) -> None:
        report = reports.make(reports.last_period(options["period"], timezone.now()))
        text = json.dumps(report.as_json()) if options["json"] else report.as_text()
        self.stdout.write(text)
