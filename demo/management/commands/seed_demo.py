from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand, CommandError

from accounts import roles
from accounts.models import User
from demo.courses import seed_courses, seed_people

OWNER = "staff"
# A superuser, and somebody of each role; payouts need two persons. `<name>@maaledu.example` signs
# in with `sandbox-<name>-only`: the demo's own, and refused in production.
STAFF = (OWNER, *roles.ROLES)


def email_of(name: str) -> str:
    return f"{name}@maaledu.example"


def password_of(name: str) -> str:
    return f"sandbox-{name}-only"


class Command(BaseCommand):
    help = (
        "Makes the demo's catalogue and a staff login of each role. Safe to run twice; refuses to"
        " run in production."
    )

    def handle(self, *args, **options) -> None:
        if settings.PRODUCTION:
            raise CommandError(
                "seed_demo makes staff logins with known passwords; it does not run in production."
            )
        made = seed_courses()
        seed_people()
        roles.install()
        for name in STAFF:
            if not User.objects.filter(email=email_of(name)).exists():
                _make(name)
        logins = ", ".join(f"{email_of(name)} / {password_of(name)}" for name in STAFF)
        self.stdout.write(f"{made} courses; staff logins {logins}")


def _make(name: str) -> None:
    shown = f"Sandbox {name.capitalize()}"
    if name == OWNER:
        User.objects.create_superuser(email_of(name), password_of(name), name=shown)
        return
    user = User.objects.create_user(email_of(name), password_of(name), name=shown, is_staff=True)
    user.groups.add(Group.objects.get(name=name))
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
