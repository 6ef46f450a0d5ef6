from django.core.management.base import BaseCommand

from grants import redemption


class Command(BaseCommand):
    help = (
        "Expires the unused coupons that are past their date, as every sweep does. Safe to repeat."
    )

    def handle(self, *args, **options) -> None:
        number = 0
        while expired := redemption.expire_overdue():
            number += expired
        self.stdout.write(f"{number} coupons expired")
