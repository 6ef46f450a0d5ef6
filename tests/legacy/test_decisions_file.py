"""What the operator decides is read from the file that a run proposes, and checked before all."""

import csv
from pathlib import Path

import pytest

from enrollments.models import Enrollment
from grants.models import Grant
from legacy.models import ImportedRow
from tests.legacy.old_database import NOW, hand_written, oid, write_json
from tests.legacy.run import import_legacy, rows_of

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
HEADER = "collection,_id,reason,answer,value"
EXPORTED = ("--exported-at", NOW.isoformat())


def answered(folder: Path, answers: dict[str, tuple[str, str]]) -> Path:
    """Fill in the proposed file, by the reason."""
    with (folder / "decisions.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["answer"], row["value"] = answers.get(row["reason"], ("", ""))
    path = folder / "answers.csv"
    with path.open("w") as file:
        writer = csv.DictWriter(file, HEADER.split(","))
        writer.writeheader()
        writer.writerows(rows)
    return path


def lines_of(path: Path) -> list[list[str]]:
    with path.open() as file:
        return list(csv.reader(file))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    old = hand_written()
    coupon = {**old["grants"][1], "_id": oid(NOW, 500), "couponUsed": True}
    old["grants"].append({**coupon, "couponCode": "GONE1234", "email": "gone@example.com"})
    strange = {**old["enrollments"][0], "_id": oid(NOW, 501), "courseId": "sql-101"}
    old["enrollments"].append({**strange, "email": "far@example.com", "stripeSessionId": "cs_far"})
    return write_json(old, tmp_path / "old")


@pytest.mark.every_engine
def test_answers_bring_in_exactly_what_was_withheld(source: Path, tmp_path: Path) -> None:
    import_legacy(source, *EXPORTED, "--report", tmp_path / "report")
    answers = answered(
        tmp_path / "report",
        {
            "missing_amount": ("amount", "199.50"),
            "unknown_course": ("map", "sql-basics"),
            "used_without_enrollment": ("release", ""),
        },
    )
    ran = import_legacy(
        source, *EXPORTED, "--apply", "--decisions", answers, "--report", tmp_path / "after"
    )
    assert ran.status == 0, ran.text
    assert Enrollment.objects.get(email="lost@example.com").amount == 19950
    assert Enrollment.objects.get(email="far@example.com").course.slug == "sql-basics"
    assert Grant.objects.get(email="gone@example.com").status == Grant.APPROVED
    before, after = (rows_of(tmp_path / name) for name in ("report", "after"))
    changed = {key for key, row in after.items() if row["outcome"] != before[key]["outcome"]}
    assert {before[key]["outcome"] for key in changed} == {"decision"}
    assert len(changed) == 3
    assert lines_of(tmp_path / "after" / "decisions.csv") == lines_of(answers)


def test_what_is_skipped_is_left_out_and_asks_no_more(source: Path, tmp_path: Path) -> None:
    import_legacy(source, *EXPORTED, "--report", tmp_path / "report")
    reasons = ("missing_amount", "unknown_course", "used_without_enrollment")
    answers = answered(tmp_path / "report", dict.fromkeys(reasons, ("skip", "")))
    assert import_legacy(source, *EXPORTED, "--decisions", answers).status == 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("enrollments,KEY,missing_amount,guess,", "“guess” is no answer"),
        ("enrollments,KEY,missing_amount,amount,", "needs value"),
        ("enrollments,KEY,missing_amount,amount,a lot", "is no amount"),
        ("enrollments,KEY,missing_amount,skip,1", "takes no value"),
        ("enrollments,KEY,bad_luck,skip,", "no reason that waits"),
        ("enrollments,0000,missing_amount,skip,", "has no enrollments 0000"),
        ("enrollments,KEY,missing_amount", "3 columns instead of 5"),
    ],
)
def test_an_answer_that_cannot_be_followed_stops_everything(
    source: Path, tmp_path: Path, line: str, said: str
) -> None:
    key = str(hand_written()["enrollments"][3]["_id"])
    path = tmp_path / "answers.csv"
    path.write_text(f"{HEADER}\n{line.replace('KEY', key)}\n")
    ran = import_legacy(source, *EXPORTED, "--apply", "--decisions", path)
    assert (ran.status, ImportedRow.objects.count()) == (2, 0)
    assert said in ran.text


def test_a_file_of_something_else_is_refused(source: Path, tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text("name,value\n")
    assert f"must begin with the line {HEADER}" in import_legacy(source, "--decisions", path).text
