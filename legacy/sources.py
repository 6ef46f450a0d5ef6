"""The old database as it is brought: a mongodump folder, mongoexport files, or a live address.

Documents are read one at a time and nothing is ever written to the source. Whatever cannot be read
is one refusal that names the file and the line.
"""

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import IO, Any, Protocol

import bson
from bson import json_util
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError
from django.utils.module_loading import import_string

from legacy.errors import SourceUnreadable

LIVE = "live"
Document = dict[str, Any]
CODEC: CodecOptions[Document] = CodecOptions(
    tz_aware=True,
    tzinfo=UTC,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    unicode_decode_error_handler="replace",
)
EXTENDED_JSON = json_util.JSONOptions(
    tz_aware=True, tzinfo=UTC, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
LONGEST_LINE = 64 * 1024 * 1024
WHITESPACE = " \t\r\n"
CHUNK = 1 << 16


class Source(Protocol):
    """Where the old data is read from, as often as is asked."""

    name: str

    def collections(self) -> list[str]:
        """Return the names of all collections there are."""

    def read(self, collection: str) -> Iterator[Document]:
        """Yield the documents of one collection. Raises SourceUnreadable."""

    def refuse_changes(self, counts: Mapping[str, int]) -> None:
        """Raise SourceUnreadable where a collection does not hold as many documents any more as
        were read.
        """


def open_source(name: str) -> Source:
    """Return the source of this name: `live`, or the path of a folder. Raises SourceUnreadable."""
    if name == LIVE:
        # By its name: only who reads that database need load the driver of MongoDB.
        source: Source = import_string("legacy.live_source.LiveSource")()
        return source
    folder = Path(name)
    if not folder.is_dir():
        raise SourceUnreadable(f"{name} is no folder. Give a folder, or the word “live”.")
    return _folder_source(folder)


def _folder_source(folder: Path) -> Source:
    exported = sorted(path for path in folder.glob("*.json") if not _is_metadata(path))
    if exported:
        return FolderSource(str(folder), {path.stem: path for path in exported})
    found = [*folder.rglob("*.bson"), *folder.rglob("*.bson.gz")]
    homes = {path.parent for path in found if path.parent.name != "admin"}
    if len(homes) > 1:
        names = ", ".join(sorted(str(home) for home in homes))
        raise SourceUnreadable(f"{folder} holds several databases: {names}. Give one of them.")
    paths = {path.name.partition(".bson")[0]: path for path in sorted(found)}
    known = {name: path for name, path in paths.items() if not name.startswith("system.")}
    return FolderSource(str(folder), known)


def _is_metadata(path: Path) -> bool:
    return path.name.endswith(".metadata.json") or path.name == "prelude.json"


@dataclass
class FolderSource:
    """Files of mongodump or mongoexport, one for each collection."""

    name: str
    paths: dict[str, Path]

    def collections(self) -> list[str]:
        return sorted(self.paths)

    def read(self, collection: str) -> Iterator[Document]:
        path = self.paths.get(collection)
        if path is None:
            return
        try:
            yield from _read_file(path)
        except (OSError, UnicodeError, EOFError) as error:
            raise SourceUnreadable(f"{path} cannot be read: {type(error).__name__}.") from error

    def refuse_changes(self, counts: Mapping[str, int]) -> None:
        """Files stay as they were written."""


def _read_file(path: Path) -> Iterator[Document]:
    if path.suffix == ".json":
        with path.open(encoding="utf-8-sig") as text:
            yield from _read_json(path, text)
        return
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        yield from _read_bson(path, file)


def _read_bson(path: Path, file: Any) -> Iterator[Document]:
    number = 0
    documents = bson.decode_file_iter(file, codec_options=CODEC)
    while True:
        number += 1
        try:
            yield next(documents)
        except StopIteration:
            return
        except (BSONError, ValueError) as error:
            text = f"{path}, document {number}: it is cut off or damaged."
            raise SourceUnreadable(text) from error


def _read_json(path: Path, file: IO[str]) -> Iterator[Document]:
    first = file.read(1)
    while first and first in WHITESPACE:
        first = file.read(1)
    file.seek(0)
    if first == "[":
        yield from _read_array(path, file)
        return
    number = 0
    while line := file.readline(LONGEST_LINE):
        number += 1
        if line.strip():
            yield _parsed(line, f"{path}, line {number}")


def _parsed(text: str, where: str) -> Document:
    try:
        found = json_util.loads(text, json_options=EXTENDED_JSON)
    except (ValueError, TypeError, BSONError, RecursionError) as error:
        raise SourceUnreadable(f"{where}: no JSON document, or a damaged one.") from error
    return _document(found, where)


def _document(found: Any, where: str) -> Document:
    if not isinstance(found, dict):
        raise SourceUnreadable(f"{where}: it is no document.")
    return found


def _read_array(path: Path, file: IO[str]) -> Iterator[Document]:
    """Read `mongoexport --jsonArray`, a document at a time."""
    decoder, text, number = json.JSONDecoder(), "", 0
    text = file.read(CHUNK).lstrip(WHITESPACE + "\ufeff").removeprefix("[")
    while True:
        text = text.lstrip(WHITESPACE + ",")
        if text.startswith("]"):
            return
        try:
            _, end = decoder.raw_decode(text)
        except (ValueError, RecursionError) as error:
            more = file.read(max(CHUNK, len(text)))
            if not more or len(text) > LONGEST_LINE:
                where = f"{path}, document {number + 1}"
                raise SourceUnreadable(f"{where}: it is cut off or damaged.") from error
            text += more
            continue
        number += 1
        yield _parsed(text[:end], f"{path}, document {number}")
        text = text[end:]
