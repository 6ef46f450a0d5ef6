from django.core.management.base import BaseCommand

from office.sales_figures import affiliate_figures


class Command(BaseCommand):
    help = (
        "Shows the affiliates' figures: how many in each state, balances, fraud signals to review,"
        " payouts to release."
    )

    def handle(self, *args, **options) -> None:
        for label, value in affiliate_figures():
            self.stdout.write(f"{label}: {value}")
