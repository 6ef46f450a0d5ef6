"""Why a backup cannot be taken or restored."""

from maaledu.errors import AppError


class BackupImpossible(AppError):
    """The engine's own program is missing or refused, or the disk did not take the backup."""

    code = "BACKUP_IMPOSSIBLE"
    message = "The backup could not be taken."


class BackupDamaged(AppError):
    """What is in the folder is not what was written."""

    code = "BACKUP_DAMAGED"
    message = "The backup is damaged."


class RestoreRefused(AppError):
    """Restoring now would lose or mix data. Nothing was changed."""

    code = "RESTORE_REFUSED"
    message = "The backup cannot be restored here."
    http_status = 409
