from django.core.management.base import BaseCommand, CommandError

from operations import invariants


class Command(BaseCommand):
    help = "Checks everything that must hold and lists what does not; exits with 1 then."

    def add_arguments(self, parser) -> None:
        parser.add_argument(
            "--lately",
            action="store_true",
            help="as each night: only what changed since the last night that found nothing, but"
            " everything once a week",
        )

    def handle(self, *args, lately: bool, **options) -> None:
        found = invariants.verify_nightly() if lately else invariants.verify()
        for line in found:
            self.stdout.write(line)
        if found:
            raise CommandError(f"{len(found)} violations")
        self.stdout.write(f"{len(invariants.CHECKS)} invariants hold")
