"""CSV that a spreadsheet opens without running anything."""

import csv
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from django.http import StreamingHttpResponse
from django.utils.translation import get_language, override

# Where a spreadsheet sees a formula, also in full-width signs, or a control character that it
# strips before it does (OWASP ASVS 1.2.10).
SIGNS = "=+-@＝＋－＠"
DANGEROUS = (*SIGNS, "\t", "\r", "\n", "\0")
# One that parts cells by another character than the comma sees cells within ours.
INNER_FORMULA = re.compile(rf"([;,|\t\r\n])(?=[ \"'\u00a0\u3000]*[{re.escape(SIGNS)}])")
BYTE_ORDER_MARK = "\ufeff"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def safe_cell(value: Any) -> str:
    """Return the text of a cell, with a quote before anything a spreadsheet would run.

    A number is left as it is: a negative amount is no formula.
    """
    text = "" if value is None else str(value)
    if NUMBER.fullmatch(text):
        return text
    start = "'" if text.lstrip(" \"'\u00a0\u3000").startswith(DANGEROUS) else ""
    return start + INNER_FORMULA.sub(r"\1'", text)


class _Line:
    """The file that csv.writer writes to, which returns each line to its caller."""

    def write(self, line: str) -> str:
        return line


def csv_response(
    filename: str, rows: Iterable[Iterable[Any]], *, for_people: bool = False
) -> StreamingHttpResponse:
    """Return rows as a download that is streamed line by line, in the memory of one line, in the
    language of this moment.

    A file for people begins with the mark by which spreadsheets know UTF-8; banks refuse it.
    """
    lines = chain([BYTE_ORDER_MARK], _lines(rows)) if for_people else _lines(rows)
    answer = StreamingHttpResponse(
        _in_language(lines, get_language()), content_type="text/csv; charset=utf-8"
    )
    answer["Content-Disposition"] = f'attachment; filename="{filename}"'
    return answer


def _lines(rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    writer = csv.writer(_Line(), quoting=csv.QUOTE_ALL)
    for row in rows:
        yield writer.writerow([safe_cell(cell) for cell in row])


def _in_language(lines: Iterator[str], language: str | None) -> Iterator[str]:
    """Yield the lines, each made in a language: they are asked for when the request is over, and
    with it what its middleware had chosen.
    """
    while True:
        with override(language):
            line = next(lines, None)
        if line is None:
            return
        yield line
