from django.core.management.base import BaseCommand

from grants.figures import figures


class Command(BaseCommand):
    help = "Shows the grants' figures: applications, coupons, refusals by true reason, budgets."

    def handle(self, *args, **options) -> None:
        for label, value in figures().rows():
            self.stdout.write(f"{label}: {value}")
