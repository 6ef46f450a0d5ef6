"""The commands of docs/cutover.md do what the page says, in its order."""

import re
import shlex
from pathlib import Path

import pytest
from django.core.management import call_command

from affiliates.models import Commission
from enrollments.models import Enrollment
from legacy.models import ImportedRow, ImportRun
from tests.architecture import ROOT
from tests.legacy.old_database import hand_written, write_bson
from tests.legacy.run import dump, import_legacy
from tests.sandbox_client import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
BLOCKS = re.compile(r"```sh\n(.+?)```", re.DOTALL)
GOOD = (0, 3)  # decisions may be open


def commands() -> list[list[str]]:
    text = (ROOT / "docs" / "cutover.md").read_text()
    lines = [line for block in BLOCKS.findall(text) for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines]


@pytest.mark.every_engine
def test_the_pages_commands_take_a_shop_over_and_back_on_the_way(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requirement R205."""
    monkeypatch.chdir(tmp_path)
    write_bson(hand_written(), tmp_path)
    before, seen = dump(), []
    for name, *arguments in commands():
        seen.append(" ".join(arguments))
        if name != "import_legacy":
            call_command(name, *arguments)
            continue
        run = ImportRun.objects.order_by("started_at").first()
        filled = [str(run.pk) if run and each == "RUN" else each for each in arguments]
        assert import_legacy(*filled).status in GOOD, arguments
        if "--undo" in arguments:
            assert dump() == before
    assert any("--final" in line for line in seen)
    assert any("--undo" in line for line in seen)
    assert Commission.objects.count() == 2
    assert Enrollment.objects.paid().count() == 2
    assert not ImportedRow.objects.exclude(document="").exists()
