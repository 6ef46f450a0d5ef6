from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from maaledu import diagnosis
from maaledu.errors import AppError
from operations import stripe_check, stripe_endpoints


class Command(BaseCommand):
    help = (
        "Test the connection to Stripe: key, clock, permissions, account, currencies, and the"
        " webhook endpoint with its deliveries. Ends with 1 when something is wrong."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--create-endpoint",
            action="store_true",
            help="make a webhook endpoint with our address, version and events, and print its"
            " signing secret, once",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["create_endpoint"]:
            self._create_endpoint()
            return
        problems = 0
        for result in stripe_check.examine():
            diagnosis.show(self, result)
            problems += not result.ok
        if problems:
            raise CommandError(f"{problems} to put right before Stripe can be relied on.")
        self.stdout.write(self.style.SUCCESS("All is well."))

    def _create_endpoint(self) -> None:
        try:
            made = self._made()
        except AppError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{made['id']} delivers to {made['url']}.")
        self.stdout.write(f"Its signing secret, which is not shown again: {made['secret']}")
        self.stdout.write(
            "Write it into STRIPE_WEBHOOK_SECRET, before the old one and parted by a comma, and"
            " restart the web processes. Then delete the old endpoint in Stripe, and the old secret"
            " here."
        )

    def _made(self) -> stripe_endpoints.Endpoint:
        name = stripe_endpoints.right_one()
        if name:
            raise CommandError(
                f"{name} is as it should be already. Its secret is in Stripe's dashboard, where it"
                " can be rolled."
            )
        return stripe_endpoints.create()
