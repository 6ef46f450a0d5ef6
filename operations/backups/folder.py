"""The folder of one backup, its manifest, and which old ones may go."""

import hashlib
import json
import re
import shutil
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from operations.backups.errors import BackupDamaged

MANIFEST = "manifest.json"
UNFINISHED = ".unfinished"
STAMP = "%Y%m%dT%H%M%SZ"
NAME = re.compile(r"maaledu-(\d{8}T\d{6}Z)")
CHUNK_BYTES = 1024 * 1024
KEEP_ALL = timedelta(days=2)
# Beyond that the newest of each day, ISO week and month, for how long.
KEEP_NEWEST = (
    ("%Y%m%d", timedelta(days=14)),
    ("%G%V", timedelta(weeks=8)),
    ("%Y%m", timedelta(days=365)),
)


@dataclass(frozen=True)
class Manifest:
    """What a backup says of itself: rows by table, checksums by file, migrations that were
    applied.
    """

    taken_at: datetime
    version: str
    engine: str
    rows: dict[str, int]
    migrations: list[str]
    files: dict[str, str]

    @property
    def size(self) -> int:
        return sum(self.rows.values())


def name_of(moment: datetime) -> str:
    return f"maaledu-{moment:{STAMP}}"


def write_manifest(folder: Path, manifest: Manifest) -> None:
    body = {**asdict(manifest), "taken_at": manifest.taken_at.isoformat()}
    (folder / MANIFEST).write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Raise BackupDamaged where there is none that can be read."""
    try:
        body = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return Manifest(**{**body, "taken_at": datetime.fromisoformat(body["taken_at"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BackupDamaged(f"{folder} has no readable {MANIFEST}: {error}") from error


def checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in the folder but its manifest, by name."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(folder)): _checksum(path) for path in paths if path.name != MANIFEST
    }


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify_files(folder: Path, manifest: Manifest) -> None:
    """Raise BackupDamaged, with names, unless each file is there and is what was written."""
    found = checksums(folder)
    wrong = sorted(name for name, value in manifest.files.items() if found.get(name) != value)
    if wrong:
        raise BackupDamaged(
            f"{folder} is damaged: {', '.join(wrong)} is missing or not what was written. Restore"
            " another backup."
        )


def finished(parent: Path) -> list[tuple[datetime, Path]]:
    """Return the backups in this directory that were finished, the newest first."""
    found = [
        (datetime.strptime(f"{match[1]}+0000", f"{STAMP}%z"), path)
        for path in parent.glob("maaledu-*")
        if (match := NAME.fullmatch(path.name)) and (path / MANIFEST).is_file()
    ]
    return sorted(found, reverse=True)


def thin(parent: Path, now: datetime) -> list[Path]:
    """Delete the backups that the rule does not keep, and return them; the newest always stays."""
    taken = finished(parent)
    kept = {path for moment, path in taken if moment > now - KEEP_ALL}
    kept |= {path for _, path in taken[:1]}
    for form, span in KEEP_NEWEST:
        # The newest of a period is the last one that is put in.
        newest = {f"{moment:{form}}": path for moment, path in taken[::-1] if moment > now - span}
        kept |= set(newest.values())
    gone = [path for _, path in taken if path not in kept]
    for path in gone:
        shutil.rmtree(path)
    return gone


def delete_unfinished(parent: Path, now: datetime) -> None:
    """Delete what killed runs left, once no run can be at it any more."""
    for path in parent.glob(f"maaledu-*{UNFINISHED}"):
        if path.stat().st_mtime < (now - timedelta(days=1)).timestamp():
            shutil.rmtree(path)
