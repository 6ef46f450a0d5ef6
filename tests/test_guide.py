"""The guide's blocks, as `script/try-guide` takes them out: the trial itself takes a machine."""

import re

import pytest

from script import guide

pytestmark = pytest.mark.no_database
# How many of each name the trials run: of one machine, and of several besides.
ONE_MACHINE = {
    "machine": 2, "one-machine": 2, "proxy": 2, "upgrade": 1, "release": 1, "back": 1, "backup": 1,
}  # fmt: skip
SEVERAL = {
    "database": 1, "web": 2, "worker": 1, "scheduler": 1,
    "prepare": 1, "release-several": 1, "examine": 1, "back-several": 1,
}  # fmt: skip


def test_each_block_that_the_guide_marks_is_found_by_its_name() -> None:
    marked = re.findall(r"<!-- run: (\S+) -->", guide.GUIDE.read_text())
    expected = {**ONE_MACHINE, "restore": 3, **SEVERAL}
    assert {name: marked.count(name) for name in marked} == expected
    assert {name: len(guide.blocks(name)) for name in expected} == expected


def test_the_trial_upgrades_to_the_version_that_it_says() -> None:
    [upgrade] = guide.blocks("upgrade")
    assert upgrade.count("VERSION=origin/main") == 1
