"""What this machine and its settings are like, without asking anybody else."""

import stat
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.core.checks import Tags, run_checks
from django.core.checks.messages import ERROR, WARNING
from django.utils import timezone

from maaledu.diagnosis import Result
from operations import levels
from operations.models import RED

READABLE_BY_OTHERS = stat.S_IRGRP | stat.S_IROTH | stat.S_IWGRP | stat.S_IWOTH


def settings_are_safe() -> Iterator[Result]:
    """Make Django's checks and ours, those of deployment too in production."""
    found = run_checks(include_deployment_checks=settings.PRODUCTION)
    found += run_checks(tags=[Tags.database], databases=["default"])
    serious = [message for message in found if message.level >= WARNING]
    for message in serious:
        is_note = message.level < ERROR
        yield Result(message.id or "check", ok=is_note, message=message.msg, is_note=is_note)
    if not any(message.level >= ERROR for message in serious):
        kind = "production" if settings.PRODUCTION else "development: never for the public"
        yield Result("environment", ok=True, message=kind, is_note=not settings.PRODUCTION)


def files_are_private() -> Iterator[Result]:
    """Look whether what holds keys or learners' data may be read by other users of this machine."""
    database = settings.DATABASES["default"]
    private = [settings.BASE_DIR / ".env"]
    if database["ENGINE"].endswith("sqlite3"):
        private.append(Path(database["NAME"]))
    if settings.BACKUP_DIR:
        private.append(Path(settings.BACKUP_DIR))
    there = [path for path in private if path.exists()]
    for path in there:
        mode = stat.S_IMODE(path.stat().st_mode)
        is_private = not mode & READABLE_BY_OTHERS
        right = "700" if path.is_dir() else "600"
        yield Result(
            path.name,
            ok=is_private or not settings.PRODUCTION,
            is_note=not is_private and not settings.PRODUCTION,
            message=f"mode {mode:o}" if is_private else f"mode {mode:o}: others can read it",
            advice="" if is_private else f"chmod {right} {path}",
        )


def disk_has_room() -> Iterator[Result]:
    """Say how much room is left where data grows, by the limits of the alert level."""
    reasons = list(levels.disk(timezone.now()))
    for reason in reasons:
        yield Result(
            "room",
            ok=reason.level != RED,
            is_note=reason.level != RED,
            message=reason.text,
            advice="Delete old logs and backups, or give it more room.",
        )
    if not reasons:
        yield Result("room", ok=True, message="enough")
