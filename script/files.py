"""The project's own files, found without git, so that a checkout and an unpacked tarball are the
same.
"""

import os
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from script.children import ROOT


def project_files(root: Path = ROOT) -> list[Path]:
    """Return every file but those that .gitignore names; its lines are taken as names, in any
    folder.
    """
    lines = (root / ".gitignore").read_text(encoding="utf-8").splitlines()
    ignored = [".git", *(line.rstrip("/") for line in lines if line and not line.startswith("#"))]
    return sorted(_walk(root, ignored))


def _walk(root: Path, ignored: list[str]) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not _is_ignored(name, ignored)]
        yield from (Path(folder, name) for name in files if not _is_ignored(name, ignored))


def _is_ignored(name: str, ignored: list[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in ignored)
