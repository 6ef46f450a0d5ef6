from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from operations import heartbeats
from operations.heartbeats import SILENT_AFTER
from operations.levels import NIGHT_SILENT_AFTER

SILENT_FROM = {
    heartbeats.WORKER: SILENT_AFTER,
    heartbeats.SCHEDULER: SILENT_AFTER,
    heartbeats.NIGHTLY: NIGHT_SILENT_AFTER,
    heartbeats.BACKUP: NIGHT_SILENT_AFTER,
}


class Command(BaseCommand):
    help = (
        "Shows when worker, scheduler, nightly and backup were last seen. Exit code 1 if one of"
        " those that are named is silent: the health check of containers."
    )
    # Asked each minute: it looks at nothing but the heartbeats.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(SILENT_FROM))

    def handle(self, *args: Any, **options: Any) -> None:
        if unknown := set(options["parts"]) - set(SILENT_FROM):
            raise CommandError(f"There is no {', '.join(sorted(unknown))}: {self.help}")
        now, seen = timezone.now(), heartbeats.last_seen()
        for name in options["parts"] or SILENT_FROM:
            last = f"{seen[name].at:%Y-%m-%d %H:%M:%S} UTC" if name in seen else "never"
            self.stdout.write(f"{name}: {last}")
        silent = [
            name for name in options["parts"] if heartbeats.silence(name, now) > SILENT_FROM[name]
        ]
        if silent:
            raise CommandError(f"Silent: {', '.join(silent)}.")
