from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts import roles
from accounts.models import User
from demo import history
from demo.management.commands.seed_demo import OWNER, email_of

PASSWORD = "sandbox-partner-only"  # noqa: S105 the demo's own, and refused in production


class Command(BaseCommand):
    help = (
        "Makes the demo's affiliate with four months of sales, after seed_demo. Does it once;"
        " refuses to run in production."
    )

    def handle(self, *args, **options) -> None:
        if settings.PRODUCTION:
            raise CommandError(
                "demo_partner makes a login with a known password and invented sales; it does not"
                " run in production."
            )
        two = [email_of(OWNER), email_of(roles.FINANCE)]  # payouts need two persons
        staff = [user for email in two for user in User.objects.filter(email=email)]
        courses = history.recommended_courses()
        if len(staff) < len(two) or not courses:
            raise CommandError("The demo's courses and staff are missing: run seed_demo first.")
        made = history.write(courses, PASSWORD, staff=staff)
        self.stdout.write(
            f"{history.EMAIL} / {PASSWORD}" if made else f"{history.EMAIL} is there already"
        )
