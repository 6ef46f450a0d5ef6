"""What must hold of any old database, whatever is wrong with its rows."""

import json
import os
from pathlib import Path

import pytest

from legacy.facts import OUTCOMES
from legacy.models import ImportRun
from operations import invariants
from tests.legacy.old_database import Documents, by_seed, write_bson
from tests.legacy.run import dump, import_legacy, rows_of

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
SEEDS = range(1, int(os.environ.get("OLD_DATABASES", "6")) + 1)
GOOD = (0, 3)


def is_whole(documents: Documents, report: Path) -> bool:
    """Whether each row has exactly one outcome, and counts and money add up to the source's."""
    rows = rows_of(report)
    summary = json.loads((report / "report.json").read_text())
    known = {str(row["_id"]) for each in documents.values() for row in each}
    counts = {
        name: sum(outcomes["outcome"].values()) for name, outcomes in summary["outcomes"].items()
    }
    source, after, held = (
        sum(each.get("amount_where_readable", each.get("amount", 0)) for each in part.values())
        for part in (
            summary["enrollments_in_source_by_status"],
            summary["enrollments_after_by_status"],
            summary["enrollments_withheld_or_merged"],
        )
    )
    return (
        set(rows) == known
        and all(row["outcome"] in OUTCOMES for row in rows.values())
        and counts == {name: len(each) for name, each in documents.items()}
        and source == after + held
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_is_wrong_each_row_has_one_outcome_and_an_undo_leaves_nothing(
    seed: int, tmp_path: Path
) -> None:
    """Requirement R205: applied, repeated, taken back, brought again, and booked."""
    documents = by_seed(seed)
    source, report = write_bson(documents, tmp_path / "old"), tmp_path / "report"
    before = dump()
    ran = import_legacy(source, "--apply", "--report", report)
    assert ran.status in GOOD, ran.text
    assert is_whole(documents, report)
    assert invariants.verify() == []
    assert "0 new, 0 changed, 0 kept" in import_legacy(source, "--apply").text
    assert import_legacy(source, "--verify").status == 0
    run = ImportRun.objects.order_by("started_at").first()
    assert run is not None
    assert import_legacy("--undo", run.pk).status == 0
    assert dump() == before
    assert import_legacy(source, "--final", "--backup-id", "b").status in GOOD
    assert invariants.verify() == []
