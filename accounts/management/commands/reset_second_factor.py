from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import audit, second_factor
from accounts.emails import normalize_email
from accounts.models import AuditEntry, User
from maaledu.errors import AppError

COMMAND_LINE = "manage.py"


class Command(BaseCommand):
    help = (
        "Takes away the second factor of somebody who has lost it, as the office does, where nobody"
        " else can get into the office. They set up a new one when they next open it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--reason", required=True, help="for the change log")

    def handle(self, *args, **options) -> None:
        try:
            user = User.objects.get(email=normalize_email(options["email"]))
        except (User.DoesNotExist, ValidationError) as error:
            raise CommandError("There is no account with this e-mail address.") from error
        try:
            kinds = second_factor.take_away(user)
        except AppError as error:
            raise CommandError(f"{error.code}: {error.message}") from error
        audit.record(
            AuditEntry.SECOND_FACTOR,
            f"second factor taken away: {kinds}",
            by=COMMAND_LINE,
            about=user,
            why=options["reason"],
        )
        self.stdout.write(f"taken away from {user.email}: {kinds}")
