"""What a later moment of the old database may bring, and what stays as it is here."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from accounts.models import User
from affiliates.models import Affiliate
from enrollments.models import Enrollment
from grants.models import Grant
from legacy.models import ImportRun
from operations import invariants
from payments.models import Payment, StripeEvent
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


@pytest.mark.any_engine
def test_an_event_that_this_shop_has_got_itself_stops_no_import(tmp_path: Path) -> None:
    """Both shops' addresses are known to Stripe for a while."""
    ours = StripeEvent.objects.create(
        event_id="evt_first", type="checkout.session.completed", livemode=False, payload={}
    )
    source = write_json(hand_written(), tmp_path / "old")
    assert import_legacy(source, *EXPORTED, "--apply").status == 3
    assert Enrollment.objects.get(email="ada@example.com").status == "paid"
    assert StripeEvent.objects.get().pk == ours.pk
    assert "0 new, 0 changed" in import_legacy(source, *EXPORTED, "--apply").text
    assert import_legacy(source, *EXPORTED, "--verify").status == 0


@pytest.mark.any_engine
@pytest.mark.parametrize("rate", ["10 %", None, 1000])
def test_a_rate_that_is_none_is_the_usual_one_and_noted(tmp_path: Path, rate: object) -> None:
    """With a rate of 0 an affiliate would earn nothing from then on, and nobody would know."""
    old = hand_written()
    old["affiliates"][0]["commissionRate"] = rate
    report = tmp_path / "report"
    import_legacy(write_json(old, tmp_path / "old"), *EXPORTED, "--apply", "--report", report)
    assert Affiliate.objects.get().rate_basis_points == 1000
    row = rows_of(report)[str(old["affiliates"][0]["_id"])]
    assert ("rate_unreadable" in row["notes"]) == (rate is not None)


@pytest.mark.any_engine
def test_a_date_at_the_end_of_all_time_refuses_no_row(tmp_path: Path) -> None:
    old, latest = hand_written(), datetime(9999, 12, 31, 23, tzinfo=UTC)
    old["enrollments"][4]["createdAt"] = old["grants"][1]["createdAt"] = latest
    del old["grants"][1]["couponMetadata"]
    assert import_legacy(write_json(old, tmp_path / "old"), *EXPORTED, "--apply").status == 3
    assert Enrollment.objects.get(email="back@example.com").status == "refunded"
    assert Grant.objects.get(email="new@example.com").status == "approved"
