"""What a later moment of the old database may bring, and what stays as it is here."""

from pathlib import Path

import pytest

from accounts.models import User
from enrollments.models import Enrollment
from grants.models import Grant
from legacy.models import ImportRun
from operations import invariants
from payments.models import Payment
from tests.grants.make import make_coupon
from tests.legacy.old_database import hand_written, write_json
from tests.legacy.run import import_legacy, rows_of
from tests.legacy.test_import import EXPORTED

pytestmark = pytest.mark.django_db


def test_a_sale_that_is_the_first_only_now_is_withheld_with_the_one_that_is_here(
    tmp_path: Path,
) -> None:
    """Its course was unknown; of the two, the one that came first became the learner's place."""
    old = hand_written()
    first = old["enrollments"][0]
    first["courseId"] = "nowhere"
    import_legacy(write_json(old, tmp_path / "old"), *EXPORTED, "--apply")
    here = Enrollment.objects.get(email="ada@example.com")
    first["courseId"] = "sql-basics"
    later = write_json(old, tmp_path / "later")
    for run in ((), ("--apply",)):
        import_legacy(later, *EXPORTED, *run, "--report", tmp_path / "report")
        rows = rows_of(tmp_path / "report")
        both = [rows[str(old["enrollments"][number]["_id"])] for number in (0, 2)]
        assert [row["reason"] for row in both] == ["conflict", "conflict"], run
    assert list(Payment.objects.filter(enrollment=here).values_list("stripe_session_id")) == [
        ("cs_again",)
    ]
    assert invariants.verify() == []


@pytest.mark.any_engine
def test_a_sale_by_a_coupon_that_the_shop_gave_to_another_has_no_grant(tmp_path: Path) -> None:
    ours = make_coupon(email="other@example.com")
    Grant.objects.filter(pk=ours.pk).update(code="MAAL-HALF-1234")
    source = write_json(hand_written(), tmp_path / "old")
    for run in ((), ("--apply",)):
        import_legacy(source, *EXPORTED, *run, "--report", tmp_path / "report")
        rows = rows_of(tmp_path / "report").values()
        assert [row["collection"] for row in rows if row["reason"] == "conflict"] == ["grants"], run
    assert Enrollment.objects.get(email="half@example.com").grant_id is None
    assert import_legacy(source, *EXPORTED, "--verify").status == 0
    assert "0 new, 0 changed" in import_legacy(source, *EXPORTED, "--apply").text


def test_a_name_that_is_gone_in_the_old_shop_is_kept_and_no_change_of_ours(tmp_path: Path) -> None:
    old = hand_written()
    import_legacy(write_json(old, tmp_path / "old"), *EXPORTED, "--apply")
    old["users"][0].update(name="", isVerified=False)
    import_legacy(write_json(old, tmp_path / "later"), *EXPORTED, "--apply")
    assert User.objects.get(email="ada@example.com").name == "Ada"
    old["users"][0]["name"] = "Ada Lovelace"
    ran = import_legacy(write_json(old, tmp_path / "last"), *EXPORTED, "--apply")
    assert (User.objects.get(email="ada@example.com").name, "0 kept" in ran.text) == (
        "Ada Lovelace",
        True,
    )
    run = ImportRun.objects.order_by("started_at").first()
    assert run is not None
    assert import_legacy("--undo", run.pk).status == 0
