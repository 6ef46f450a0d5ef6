"""Static files as production has them: named by their content, and kept for two releases more.

Pages of a release before are open or cached somewhere, and name the files of that time.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from whitenoise.storage import CompressedManifestStaticFilesStorage

RELEASES_BEFORE = 2
NAMED_BY_CONTENT = re.compile(r"\.[0-9a-f]{12}(\.\w+)?$")
Names = dict[str, str]


class ReleasesStorage(CompressedManifestStaticFilesStorage):
    """Keeps the manifests of the releases before beside this one's, and removes what none names.

    A process of the release before that starts when the next one is collected reads its manifest:
    a name that is not in it any more is looked for on the disk.
    """

    manifest_strict = False

    def post_process(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        yield from super().post_process(*args, **kwargs)
        if not kwargs.get("dry_run"):
            self._remove_older()

    def save_manifest(self) -> None:
        before = [self.load_manifest()[0], *self._names_before()]
        # A release that is collected again, or gone back to, is none before itself.
        others = [names for names in before if names and names != self.hashed_files]
        self._before.write_text(json.dumps(others[:RELEASES_BEFORE]))
        super().save_manifest()

    def _names_before(self) -> list[Names]:
        return json.loads(self._before.read_text()) if self._before.exists() else []

    @property
    def _before(self) -> Path:
        return Path(self.path("staticfiles-before.json"))

    def _remove_older(self) -> None:
        releases = [self.hashed_files, *self._names_before()]
        kept = {name for names in releases for name in names.values()}
        for path in Path(self.location).rglob("*"):
            name = path.relative_to(self.location).as_posix()
            plain = name.removesuffix(".gz").removesuffix(".br")
            if NAMED_BY_CONTENT.search(plain) and plain not in kept and path.is_file():
                path.unlink()
