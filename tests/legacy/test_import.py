"""The import shows, writes, repeats, compares and takes back, on every engine."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from accounts.models import User
from affiliates.models import Affiliate, Balance, Commission, LedgerEntry
from courses.models import Course
from enrollments.models import Enrollment
from grants.models import Grant
from legacy import runs
from legacy.models import ImportedRow, ImportProposal, ImportRun
from legacy.running import Order, prepare
from legacy.sources import open_source
from legacy.values import minor_units
from lms_sync.models import DeadLetter
from notifications.models import Email
from operations import invariants
from payments.models import Payment, StripeEvent
from tests.legacy.old_database import NOW, Documents, hand_written, oid, write_json
from tests.legacy.run import dump, import_legacy, rows_of
from tests.office.test_lists import member

pytestmark = pytest.mark.django_db
OPEN = 3  # the exit code while decisions are open
EXPORTED = ("--exported-at", NOW.isoformat())


@pytest.fixture
def old() -> Documents:
    return hand_written()


@pytest.fixture
def source(old: Documents, tmp_path: Path) -> Path:
    return write_json(old, tmp_path / "old")


def sale(email: str) -> Enrollment:
    return Enrollment.objects.get(email=email)


@pytest.mark.any_engine
def test_a_dry_run_writes_nothing_and_names_every_row_with_its_outcome(
    source: Path, old: Documents, tmp_path: Path
) -> None:
    """Requirement R205."""
    before = dump()
    ran = import_legacy(source, *EXPORTED, "--report", tmp_path / "report")
    assert (ran.status, dump()) == (OPEN, before)
    rows = rows_of(tmp_path / "report")
    assert set(rows) == {str(row["_id"]) for each in old.values() for row in each}
    outcomes = [rows[str(row["_id"])]["outcome"] for row in old["enrollments"]]
    assert outcomes == ["imported", "imported", "merged", "decision", "imported", "deferred"]
    assert "4 imported" not in ran.text
    assert "enrollments: 3 imported + 1 merged + 1 deferred + 1 to decide" in ran.text


@pytest.mark.any_engine
def test_what_is_applied_is_what_was_announced_and_everything_holds(
    source: Path, tmp_path: Path
) -> None:
    import_legacy(source, *EXPORTED, "--report", tmp_path / "announced")
    ran = import_legacy(source, *EXPORTED, "--apply", "--report", tmp_path / "applied")
    assert ran.status == OPEN
    for name in ("rows.jsonl", "report.json", "report.txt", "report.html", "decisions.csv"):
        announced, applied = (tmp_path / each / name for each in ("announced", "applied"))
        assert announced.read_bytes() == applied.read_bytes(), name
    assert invariants.verify() == []

    first, half = sale("ada@example.com"), sale("half@example.com")
    assert (first.status, first.amount, first.lms_enrollment_id) == ("paid", 24900, "LMS-1")
    assert (first.name, first.progress_percent) == ("Ada", 40)
    assert (half.kind, half.list_price, half.lms_status) == ("partial_grant", 24900, "failed")
    assert Grant.objects.get(code="MAAL-HALF-1234").enrollment_id == half.pk
    assert Grant.objects.get(code="MAAL-TEST-100").status == Grant.APPROVED
    assert sale("back@example.com").status == Enrollment.REFUNDED
    duplicate = Payment.objects.get(stripe_payment_intent_id="pi_again")
    assert (duplicate.enrollment, duplicate.review_reason) == (first, Payment.DUPLICATE)
    assert not Enrollment.objects.filter(email="lost@example.com").exists()
    assert StripeEvent.objects.get().outcome == "legacy import"
    assert (DeadLetter.objects.open().count(), Email.objects.count()) == (1, 0)
    assert Course.objects.get(slug="old-course-7").lms_course_id == "Old-Course_7"
    assert (Affiliate.objects.count(), LedgerEntry.objects.count()) == (1, 0)


@pytest.mark.any_engine
def test_a_second_run_changes_nothing_and_the_comparison_finds_nothing(source: Path) -> None:
    import_legacy(source, *EXPORTED, "--apply")
    before = dump(with_mapping=False)
    ran = import_legacy(source, *EXPORTED, "--apply")
    assert "0 new, 0 changed" in ran.text
    assert dump(with_mapping=False) == before
    assert import_legacy(source, *EXPORTED, "--verify").text.endswith("0 differences\n")


def test_one_cent_changed_or_a_row_gone_in_the_source_is_found_and_named(
    source: Path, old: Documents
) -> None:
    import_legacy(source, *EXPORTED, "--apply")
    row = old["enrollments"][0]
    row["amount"] = "249.01"
    gone = old["grants"].pop()
    write_json(old, source)
    ran = import_legacy(source, *EXPORTED, "--verify")
    assert ran.status == 1
    assert f"enrollments {row['_id']}: changed in the source" in ran.text
    assert f"grants {gone['_id']}: gone in the source; what it became stays here" in ran.text


def test_a_run_that_is_cut_off_between_chunks_is_finished_by_the_next(source: Path) -> None:
    import_legacy(source, *EXPORTED, "--apply")
    whole, cut_off_with = dump(with_mapping=False), []
    for chunk in (1, 6):
        run = ImportRun.objects.get()
        assert import_legacy("--undo", run.pk).status == 0
        with pytest.raises(CutOffError):
            cut_off_after(chunk, source)
        cut_off_with.append(ImportedRow.objects.count())
        import_legacy(source, *EXPORTED, "--apply")
        assert dump(with_mapping=False) == whole, chunk
    assert sorted(set(cut_off_with)) == cut_off_with
    assert 0 < cut_off_with[0] <= cut_off_with[-1] < ImportedRow.objects.count()


def cut_off_after(chunk: int, source: Path) -> None:
    """End an applied run after so many chunks."""
    done: list[str] = []

    def look(name: str, _: int) -> None:
        done.extend([name] if name.endswith("compared") else [])
        if len(done) == chunk:
            raise CutOffError

    order = Order(open_source(str(source)), exported_at=NOW, progress=look)
    runs.write(order, prepare(order), backup_id="", step=look)


class CutOffError(Exception):
    pass


def test_an_undo_leaves_the_database_as_it_was(source: Path) -> None:
    before = dump()
    import_legacy(source, *EXPORTED, "--apply")
    run = ImportRun.objects.get()
    assert import_legacy("--undo", run.pk).status == 0
    assert dump() == before


@pytest.mark.any_engine
def test_an_undo_is_refused_once_somebody_has_changed_or_used_a_row(source: Path) -> None:
    import_legacy(source, *EXPORTED, "--apply")
    run, before = ImportRun.objects.get(), Enrollment.objects.count()
    User.objects.filter(email="ada@example.com").update(name="Ada L.")
    ran = import_legacy("--undo", run.pk)
    assert (ran.status, Enrollment.objects.count()) == (2, before)
    assert "was changed here since" in ran.text
    User.objects.filter(email="ada@example.com").update(name="Ada", last_login=NOW)
    assert "has signed in here" in import_legacy("--undo", run.pk).text


def test_the_final_run_books_what_was_paid_and_asks_for_a_backup_first(source: Path) -> None:
    import_legacy(source, *EXPORTED, "--apply")
    refused = import_legacy(source, *EXPORTED, "--final")
    assert (refused.status, Commission.objects.count()) == (2, 0)
    import_legacy(source, *EXPORTED, "--final", "--backup-id", "before")
    assert invariants.verify() == []
    amounts = Commission.objects.order_by("amount").values_list("amount", "base")
    assert list(amounts) == [(1245, 12450), (2490, 24900)]
    balance = Balance.objects.get()
    assert balance.pending + balance.payable == 1245 + 2490 - 1000
    [proposal] = ImportProposal.objects.all()
    assert (proposal.kind, proposal.difference) == ("commission_discounted_base", 1245)
    young = sale("young@example.com")
    assert (young.status, young.payments.get().stripe_session_id) == ("pending", "cs_young")
    again = import_legacy(source, *EXPORTED, "--final", "--backup-id", "before")
    assert "0 new, 0 changed" in again.text
    assert LedgerEntry.objects.count() == 3
    run = ImportRun.objects.filter(kind=ImportRun.FINAL).first()
    assert run is not None
    assert import_legacy("--undo", run.pk).status == 2


def test_the_second_moment_brings_what_changed_and_leaves_what_was_changed_here(
    source: Path, old: Documents, tmp_path: Path
) -> None:
    import_legacy(source, *EXPORTED, "--apply")
    waiting, kept, young = (old["enrollments"][number] for number in (1, 0, 5))
    waiting["frappeSync"] = {"synced": True, "syncStatus": "success", "enrollmentId": "LMS-2"}
    young.update(status="paid", lmsSync=waiting["frappeSync"])
    kept["status"] = "refunded"
    withheld = old["enrollments"][4]
    del withheld["amount"]
    Enrollment.objects.filter(email="ada@example.com").update(lms_status="lost")
    later = write_json(old, tmp_path / "later")
    at = ("--exported-at", (NOW + timedelta(days=3)).isoformat())
    ran = import_legacy(later, *at, "--apply", "--report", tmp_path / "report")
    assert "2 changed, 3 kept (the report's changes.jsonl names them)" in ran.text, ran.text
    assert sale("half@example.com").lms_status == "success"
    assert (sale("young@example.com").status, DeadLetter.objects.count()) == ("paid", 0)
    rows = rows_of(tmp_path / "report")
    conflict, missing = rows[str(kept["_id"])], rows[str(withheld["_id"])]
    assert (conflict["outcome"], conflict["reason"]) == ("decision", "conflict")
    assert (missing["reason"], missing["notes"]) == ("missing_amount", ["stays_as_brought"])
    assert (sale("back@example.com").status, sale("back@example.com").amount) == ("refunded", 24900)
    assert sale("ada@example.com").status == Enrollment.PAID


def test_two_moments_one_after_the_other_are_as_the_second_alone(
    source: Path, old: Documents, tmp_path: Path
) -> None:
    def moment(folder: Path) -> None:
        import_legacy(folder, "--exported-at", (NOW + timedelta(days=3)).isoformat(), "--apply")

    later = hand_written()
    # Recent, so that the job that was given up is one that is done.
    synced = {"synced": True, "enrollmentId": "LMS-2", "syncedAt": timezone.now()}
    later["enrollments"][1]["frappeSync"] = synced
    later["enrollments"][4]["email"] = "back@example.com"
    later["enrollments"][0].update(status="refunded", updatedAt=NOW)
    later["grants"][1].update(status="rejected")
    folder = write_json(later, tmp_path / "later")
    import_legacy(source, *EXPORTED, "--apply")
    moment(folder)
    one_after_the_other = dump(with_mapping=False)
    [run, _] = ImportRun.objects.order_by("started_at")
    assert import_legacy("--undo", run.pk).status == 0
    assert ImportedRow.objects.count() == 0
    moment(folder)
    assert dump(with_mapping=False) == one_after_the_other


@pytest.mark.any_engine
@pytest.mark.parametrize("seconds", [1, 0])
def test_of_two_sales_on_one_coupon_the_earlier_one_holds_it(
    old: Documents, tmp_path: Path, seconds: int
) -> None:
    """Earlier is by createdAt, without it by the second in the key: in that one, the owner's is."""
    first = old["enrollments"][1]
    first["createdAt"] += timedelta(milliseconds=300)
    key = oid(first["createdAt"] + timedelta(seconds=seconds), 1)
    ids = {"stripeSessionId": "cs_two", "paymentId": "STRIPE_PARTIAL_cs_two"}
    second = {**first, **ids, "_id": key, "email": "two@example.com"}
    del second["createdAt"]
    old["enrollments"].insert(0, second)
    source = write_json(old, tmp_path / "old")
    import_legacy(source, *EXPORTED, "--apply", "--report", tmp_path / "report")
    assert "coupon_used_twice" in rows_of(tmp_path / "report")[str(key)]["notes"]
    half, two = sale("half@example.com"), sale("two@example.com")
    assert Grant.objects.get(code="MAAL-HALF-1234").enrollment_id == half.pk
    assert (half.grant_id is None, two.grant_id, two.kind) == (False, None, "partial_grant")


@pytest.mark.any_engine
def test_a_row_that_is_dated_ahead_ends_no_checkout_that_may_still_be_paid(
    old: Documents, tmp_path: Path
) -> None:
    """Without --exported-at: what visitors wrote last says how old the source is."""
    old["affiliates"][0].update(createdAt=NOW + timedelta(days=3), updatedAt=NOW)
    import_legacy(write_json(old, tmp_path / "old"), "--report", tmp_path / "report")
    young = rows_of(tmp_path / "report")[str(old["enrollments"][5]["_id"])]
    assert (young["outcome"], young["reason"]) == ("deferred", "pending_young")


def test_a_run_is_shown_to_staff_as_its_report_says_it(source: Path) -> None:
    import_legacy(source, *EXPORTED, "--apply")
    run = ImportRun.objects.get()
    page = member("view_importrun").get(f"/admin/legacy/importrun/{run.pk}/change/")
    assert page.status_code == 200
    text = page.content.decode()
    assert "enrollments: 3 imported + 1 merged + 1 deferred + 1 to decide" in text
    assert "amount_where_readable" not in text
    assert "Exported on " in text
    assert NOW.isoformat() not in text


def test_an_old_row_shows_its_document_and_how_it_may_be_decided(source: Path) -> None:
    import_legacy(source, *EXPORTED, "--apply")
    staff, row = member("view_importedrow"), ImportedRow.objects.get(reason="missing_amount")
    page = staff.get(f"/admin/legacy/importedrow/{row.pk}/change/").content.decode()
    assert ("amount, skip" in page, "\u2003&quot;status&quot;: &quot;paid&quot;" in page) == (
        True,
        True,
    )


def test_what_became_of_a_row_is_said_in_words(source: Path) -> None:
    import_legacy(source, *EXPORTED, "--apply")
    rows = member("view_importedrow").get("/admin/legacy/importedrow/").content.decode()
    reasons = ImportedRow.objects.exclude(reason="").values_list("reason", flat=True)
    assert [reason for reason in reasons if reason.replace("_", " ") not in rows] == []
    assert "_" in "".join(reasons)
    assert [reason for reason in reasons if "_" in reason and reason in rows] == []
    links = [
        f"/admin/enrollments/enrollment/{pk}/change/"
        for pk in Enrollment.objects.values_list("pk", flat=True)
    ]
    assert [each for each in links if each not in rows] == []


@pytest.mark.any_engine
def test_text_is_noted_as_an_amount_only_where_it_is_one() -> None:
    notes: set[str] = set()
    assert (minor_units("249,50 USD", notes), minor_units("free?", notes), notes) == (
        None,
        None,
        set(),
    )
    assert (minor_units(" 249.5 ", notes), notes) == (24950, {"amount_string"})
