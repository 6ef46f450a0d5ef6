from django.core.management.base import BaseCommand, CommandError

from operations import invariants


class Command(BaseCommand):
    help = "Checks everything that must hold and lists what does not; exits with 1 then."

    def handle(self, *args, **options) -> None:
        found = invariants.verify()
        for line in found:
            self.stdout.write(line)
        if found:
            raise CommandError(f"{len(found)} violations")
        self.stdout.write(f"{len(invariants.CHECKS)} invariants hold")
