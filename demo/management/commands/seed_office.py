from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import roles
from accounts.models import User
from affiliates.models import Affiliate
from demo import history, office
from demo.controls import Sandbox
from demo.management.commands.seed_demo import OWNER, email_of

PASSWORD = "sandbox-learner-only"  # noqa: S105 the demo's own, and refused in production


class Command(BaseCommand):
    help = (
        "Fills the demo's office, after seed_demo and demo_partner, with the sandbox running: past"
        " sales, grants in every state, and what waits for staff. Safe to run twice; refuses to run"
        " in production."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--sandbox", default="", help="its address (default: that of STRIPE_API_BASE)"
        )

    def handle(self, *args, **options) -> None:
        if settings.PRODUCTION:
            raise CommandError(
                "seed_office makes invented purchases and a login with a known password; it does"
                " not run in production."
            )
        staff, finance = (
            User.objects.filter(email=email_of(name)).first() for name in (OWNER, roles.FINANCE)
        )
        has_partner = Affiliate.objects.filter(email=history.EMAIL).exists()
        if staff is None or finance is None or not has_partner:
            raise CommandError(
                "The demo's staff and affiliate are missing: run seed_demo and demo_partner first."
            )
        sandbox = Sandbox(options["sandbox"] or _sandbox_of_stripe())
        made = office.fill(sandbox, password=PASSWORD, staff=staff, finance=finance)
        self.stdout.write(f"{', '.join(made)}; {office.LEARNER} / {PASSWORD}")


def _sandbox_of_stripe() -> str:
    """Return the address of the sandbox that plays Stripe. Raises CommandError where none does."""
    address = urlsplit(settings.STRIPE_API_BASE)
    if address.path.strip("/") != "stripe":
        raise CommandError(
            "STRIPE_API_BASE is not that of a sandbox: purchases of the demo are made there only."
        )
    return f"{address.scheme}://{address.netloc}"
