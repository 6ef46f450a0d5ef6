"""One number says which version this is, wherever it is shown."""

import re
import subprocess

import django
import pytest

from maaledu.version import VERSION
from tests.architecture import ROOT
from tests.processes import python

pytestmark = pytest.mark.any_engine


def test_the_newest_version_of_the_changelog_is_this_one() -> None:
    numbers = re.findall(
        r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert numbers[0] == VERSION


@pytest.mark.every_engine
def test_the_command_line_says_it() -> None:
    command = python("manage.py", "version")
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout == f"MaalEdu {VERSION}, Django {django.get_version()}\n"


def test_a_monitor_reads_it(client, db) -> None:
    assert client.get("/health/ready").json()["version"] == VERSION
