"""A translation into a language that nobody speaks, made from all messages there are: each in
Arabic letters, from right to left, with its placeholders and tags as they were.

A Latin letter on a page, outside what people have written, is then one that no translation reaches.
It is made as a translation is: by makemessages and msgfmt (docs/translating.md).
"""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from tests.architecture import PACKAGES, ROOT

LANGUAGE = "ar"
LATIN = "abcdefghijklmnopqrstuvwxyz"
ARABIC = "ابتثجحخدذرزسشصضطظعغفقكلمنه"
LETTERS = str.maketrans(LATIN + LATIN.upper(), ARABIC + ARABIC)
KEPT = re.compile(r"%\(\w+\)[a-z]|%%|%[a-z]|\{\w*\}|<[^>]*>|&\w+;|https?://\S+")
DATE_PATTERN = re.compile(r"[FMjYHisNdDlyP, :.]+")
MADE_FOR_PACKAGES = ("django.conf", "django.contrib.auth", "allauth")
HEADER = """msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"
"""
Message = tuple[str | None, str, str | None]  # context, singular, plural


def pseudo(text: str) -> str:
    """Return a message in Arabic letters; a pattern of a date stays one."""
    if DATE_PATTERN.fullmatch(text):
        return text
    ends, parts = [match.span() for match in KEPT.finditer(text)], []
    at = 0
    for start, end in ends:
        parts += [text[at:start].translate(LETTERS), text[start:end]]
        at = end
    return "".join([*parts, text[at:].translate(LETTERS)])


def make(directory: Path) -> Path:
    """Make the translation in a directory, and return the one that LOCALE_PATHS names."""
    found = set(_messages(_extract(directory)))
    for package in MADE_FOR_PACKAGES:
        known = files(package).joinpath("locale/en/LC_MESSAGES/django.po")
        found |= set(_messages(known.read_text(encoding="utf-8")))
    locale = directory / "locale"
    target = locale / LANGUAGE / "LC_MESSAGES" / "django.po"
    target.write_text(HEADER + "".join(map(_entry, sorted(found, key=str))), encoding="utf-8")
    compiled = target.with_suffix(".mo")
    subprocess.run(["msgfmt", "--check-format", "-o", compiled, target], check=True)
    return locale


def _extract(directory: Path) -> str:
    """Return what makemessages finds in a copy of the product: it writes beside what it reads."""
    copy = directory / "product"
    for path in _with_messages():
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    locale = directory / "locale"
    locale.mkdir()
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "tests.pseudo_settings",
        "PSEUDO_LOCALE": str(locale),
    }
    command = [sys.executable, "-m", "django", "makemessages", "--locale", LANGUAGE]
    subprocess.run(command, cwd=copy, env=environment, check=True, capture_output=True)
    return (locale / LANGUAGE / "LC_MESSAGES" / "django.po").read_text(encoding="utf-8")


def _with_messages() -> Iterator[Path]:
    for path in (ROOT / "templates").rglob("*.*"):
        if "i18n" in path.read_text(encoding="utf-8"):
            yield path
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if "django.utils.translation" in path.read_text(encoding="utf-8"):
                yield path


def _messages(catalog: str) -> Iterator[Message]:
    for entry in re.split(r"\n\s*\n", catalog):
        fields: dict[str, str] = {}
        name = ""
        for line in entry.splitlines():
            keyword, _, text = line.partition(" ")
            if keyword in ("msgctxt", "msgid", "msgid_plural") or keyword.startswith("msgstr"):
                name = keyword
            elif line.startswith('"'):
                text = line
            else:
                continue
            fields[name] = fields.get(name, "") + ast.literal_eval(text)
        if fields.get("msgid"):
            yield fields.get("msgctxt"), fields["msgid"], fields.get("msgid_plural")


def _entry(message: Message) -> str:
    context, one, many = message
    lines = [f"msgctxt {_quoted(context)}"] if context is not None else []
    lines.append(f"msgid {_quoted(one)}")
    if many is None:
        lines.append(f"msgstr {_quoted(pseudo(one))}")
    else:
        lines.append(f"msgid_plural {_quoted(many)}")
        lines += [f"msgstr[{n}] {_quoted(pseudo(text))}" for n, text in enumerate((one, many))]
    return "\n" + "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
