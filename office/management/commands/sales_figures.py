import json

from django.core.management.base import BaseCommand, CommandError, CommandParser

from maaledu.money import format_money
from office.sales_figures import sales_figures


class Command(BaseCommand):
    help = "Shows the sales of each kind of enrollment and of the affiliates with the most sales."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days", type=int, help="of the last so many days (default: all there ever was)"
        )
        parser.add_argument(
            "--json", action="store_true", help="for programs: amounts in minor units"
        )

    def handle(self, *args, **options) -> None:
        days = options["days"]
        if days is not None and not 0 < days <= 36500:
            raise CommandError("--days takes 1 to 36500.")
        figures = sales_figures(days)
        if options["json"]:
            self.stdout.write(json.dumps(figures.as_json()))
            return
        for kind in figures.kinds:
            revenue, back = (
                format_money(amount, kind.currency) for amount in (kind.revenue, kind.taken_back)
            )
            counts = f"{kind.count} sold, {kind.undone} undone"
            self.stdout.write(
                f"{kind.name} in {kind.currency.upper()}: {counts}, revenue {revenue}, taken back"
                f" {back}"
            )
        for row in figures.affiliates:
            earned = (
                ", ".join(
                    format_money(amount, currency)
                    for currency, amount in sorted(row.earned.items())
                )
                or "nothing"
            )
            counts = (
                f"{row.sales.referrals} referrals, {row.sales.paid} paid, {row.sales.undone} undone"
                f" ({row.sales.refund_rate})"
            )
            self.stdout.write(f"{row.affiliate.code}: {counts}, earned {earned}")
