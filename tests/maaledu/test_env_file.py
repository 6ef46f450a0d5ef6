"""Each value is read as it is written in `.env` or the environment, or the start is refused."""

import json
from pathlib import Path

import environ
import pytest
from pytest_django.fixtures import Settings

from maaledu.checks import check_environment
from tests.maaledu.test_checks import run
from tests.processes import python

pytestmark = pytest.mark.no_database


def found(settings: Settings, path: Path, text: str | bytes) -> list[str]:
    file = path / ".env"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    settings.ENV_FILE = file
    errors = check_environment()
    assert {error.id for error in errors} <= {"maaledu.E025"}
    return [str(error.msg) for error in errors]


PASSWORDS = ["$ecret", "$", "$$", "$HOME", r"\$ecret", "a$b", r"a\$b", "$PATH/$x", "pa#ss=w"]
READ_EACH = """
import importlib, json, os, sys
from maaledu import settings
read = []
for os.environ["EMAIL_HOST_PASSWORD"] in json.loads(sys.argv[1]):
    read.append(importlib.reload(settings).EMAIL_HOST_PASSWORD)
print(json.dumps(read), end="")
"""


def test_a_value_with_a_dollar_is_read_as_written() -> None:
    """Fault E3: “$ecret” was taken for the name of a variable, and so for an empty password."""
    read = run(python("-W", "ignore", "-c", READ_EACH, json.dumps(PASSWORDS)))
    assert (read.stdout, read.returncode) == (json.dumps(PASSWORDS), 0), read.stderr


def test_lists_mappings_and_switches_with_a_dollar_are_read_as_written() -> None:
    code = (
        "from maaledu import settings as s;"
        "print(s.STRIPE_WEBHOOK_SECRETS, s.OPENEDX_COURSE_MODES, s.EMAIL_USE_TLS)"
    )
    changes = {"STRIPE_WEBHOOK_SECRET": "$one,$two", "OPENEDX_COURSE_MODES": "$K=honor"}
    read = run(python("-W", "ignore", "-c", code), **changes, EMAIL_USE_TLS="false")
    assert read.stdout.strip() == "['$one', '$two'] {'$K': 'honor'} False"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("EMAIL_HOST_PASSWORD = secret", "it is not read"),
        (" EMAIL_HOST_PASSWORD=secret", "it is not read"),
        ("EMAIL_HOST_PASSWORD: secret", "it is not read"),
        ("EMAIL_HOST_PASSWORD", "it is not read"),
        ("EMAIL_HOST_PASSWORD=sec\u2028ret", "it is not read"),
        ("EMAIL_HOST_PASSWORD= secret", "begins or ends with a blank"),
        ("EMAIL_HOST_PASSWORD=secret ", "begins or ends with a blank"),
        ("EMAIL_HOST_PASSWORD='secret", "quote that does not end"),
        ('EMAIL_HOST_PASSWORD="secret" # of the shop', "quote that does not end"),
        ("EMAIL_HOST_PASSWORD='", "quote that does not end"),
        ("EMAIL_HOST_PASSWORD=“secret”", "quotes that are not plain"),
        ("EMAIL_HOST_PASSWORD=secret # of the shop", "counts as the value"),
        (r'EMAIL_HOST_PASSWORD="sec\set"', "backslash in double quotes"),
        ("""EMAIL_HOST_PASSWORD='"secret"'""", "quotes in quotes"),
        ("\ufeffEMAIL_HOST_PASSWORD=secret", "byte order mark"),
    ],
)
def test_a_line_that_reads_otherwise_than_written_stops_the_start(
    settings: Settings, tmp_path: Path, line: str, problem: str
) -> None:
    [sentence] = found(settings, tmp_path, f"# mail\nSITE_NAME=Shop\n{line}\n")
    assert sentence.startswith("Line 3 of .env: ")
    assert problem in sentence
    assert "sec" not in sentence.replace("secrets", "")


def test_a_file_that_is_not_utf_8_stops_the_start(settings: Settings, tmp_path: Path) -> None:
    assert found(settings, tmp_path, b"SITE_NAME=Caf\xe9\n") == [
        "Save .env as UTF-8: its characters cannot be read."
    ]


GOOD = {
    "A1": ("$ecret", "$ecret"),
    "A2": ("'sec # ret'", "sec # ret"),
    "A3": ('"sec ret"', "sec ret"),
    "A4": (r"sec\ret", r"sec\ret"),
    "A5": (r'"sec\"ret"', 'sec"ret'),
    "A6": ("sec'ret", "sec'ret"),
    "A7": ("sec#ret", "sec#ret"),
    "A8": ("", ""),
    "A9": ("' sec '", " sec "),
}


def test_what_passes_is_read_as_written(settings: Settings, tmp_path: Path) -> None:
    lines = [f"export {name}={written}\r" for name, (written, _) in GOOD.items()]
    assert found(settings, tmp_path, "\n".join(["# a comment = 1", "", *lines])) == []

    class Env(environ.Env):
        ENVIRON: dict = {}

    Env.read_env(settings.ENV_FILE)
    assert {name: meant for name, (_, meant) in GOOD.items()} == Env.ENVIRON


def test_without_a_file_nothing_is_wrong(settings: Settings, tmp_path: Path) -> None:
    settings.ENV_FILE = tmp_path / "none"
    assert check_environment() == []
