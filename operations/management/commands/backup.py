from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from notifications.alerts import alert_staff, recover
from notifications.models import Alert
from operations import heartbeats
from operations.backups import folder, taking
from operations.backups.errors import BackupDamaged, BackupImpossible

CAUSE = "backup"


def alert_of_failure(error: Exception) -> None:
    """Alert staff once a day: whoever runs this regularly may read no output."""
    now = timezone.now()
    today = f"{CAUSE}:{now:%Y%m%d}"
    if not Alert.objects.filter(key__startswith=today, recovered_at=None).exists():
        alert_staff(
            key=f"{today}{now:%H%M%S}",
            subject="The backup failed",
            lines=[str(error), "The backups of before are kept, and the next one is due as usual."],
        )


class Command(BaseCommand):
    help = (
        "Takes a backup of the database while it is used, reads it back, and deletes old backups:"
        " all of two days stay, then one a day for 14 days, one a week for 8 weeks, one a month for"
        " 12 months. Exit code 1 when there is no new backup."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "directory",
            nargs="?",
            default=settings.BACKUP_DIR,
            help="where the backups are (default: BACKUP_DIR)",
        )
        parser.add_argument("--keep-all", action="store_true", help="delete no old backup")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["directory"]:
            raise CommandError("Say where to: set BACKUP_DIR, or name a directory.")
        parent = Path(options["directory"])
        try:
            taken = taking.take(parent)
        except (BackupDamaged, BackupImpossible) as error:
            alert_of_failure(error)
            raise CommandError(f"There is no new backup. {error}") from error
        heartbeats.note(heartbeats.BACKUP)
        recover(CAUSE)
        manifest = folder.read_manifest(taken)
        self.stdout.write(
            f"{taken}: {manifest.size} rows in {len(manifest.rows)} tables, read back"
        )
        if not options["keep_all"]:
            for gone in folder.thin(parent, timezone.now()):
                self.stdout.write(f"deleted {gone.name}, which the rule does not keep")
