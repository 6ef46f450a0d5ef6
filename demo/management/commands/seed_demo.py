from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from demo.courses import seed_courses, seed_people

# By address: the password, which is the demo's own and refused in production, and the name. Payouts
# need two persons.
STAFF = {
    "staff@maaledu.example": ("sandbox-staff-only", "Sandbox Staff"),
    "finance@maaledu.example": ("sandbox-finance-only", "Sandbox Finance"),
}


class Command(BaseCommand):
    help = (
        "Makes the demo's catalogue and two staff logins. Safe to run twice; refuses to run in"
        " production."
    )

    def handle(self, *args, **options) -> None:
        if settings.PRODUCTION:
            raise CommandError(
                "seed_demo makes staff logins with known passwords; it does not run in production."
            )
        made = seed_courses()
        seed_people()
        for email, (password, name) in STAFF.items():
            if not User.objects.filter(email=email).exists():
                User.objects.create_superuser(email, password, name=name)
        logins = ", ".join(f"{email} / {password}" for email, (password, _) in STAFF.items())
        self.stdout.write(f"{made} courses; staff logins {logins}")
