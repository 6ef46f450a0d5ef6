import json

from django.core.management.base import BaseCommand, CommandError, CommandParser

from maaledu.money import Money
from office.sales_figures import AffiliateFigures, KindFigures, sales_figures


class Command(BaseCommand):
    help = "Shows the sales of each kind of enrollment and of the affiliates with the most sales."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days", type=int, help="of the last so many days (default: of all time)"
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
            self.stdout.write(_of_kind(kind))
        for row in figures.affiliates:
            self.stdout.write(_of_affiliate(row))


def _of_kind(kind: KindFigures) -> str:
    counts = f"{kind.count} sold, {kind.refunded} refunded"
    revenue = Money(kind.revenue, kind.currency)
    back = Money(kind.reversed, kind.currency)
    currency = kind.currency.upper()
    return f"{kind.name} in {currency}: {counts}, revenue {revenue}, reversed {back}"


def _of_affiliate(row: AffiliateFigures) -> str:
    sales = row.sales
    counts = f"{sales.referrals} referrals, {sales.paid} paid, {sales.refunded} refunded"
    earned = [str(Money(amount, currency)) for currency, amount in row.earned.items()]
    sums = ", ".join(earned) or "nothing"
    return f"{row.affiliate.code}: {counts} ({sales.refund_rate}), earned {sums}"
