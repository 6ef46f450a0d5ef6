"""Many learners at once (requirement R111): a list becomes an enrollment, access and one e-mail for
each good line, and every bad one is named.
"""

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from courses.models import Course
from enrollments import batch_file, batches
from enrollments.batches import BATCHES, Counts, Purpose
from enrollments.errors import BatchOffSale, BatchUnreadable
from enrollments.models import BatchRow, Enrollment, EnrollmentBatch
from enrollments.provisioning import LMS_JOBS
from lms_sync.models import DeadLetter, PlatformState, SyncAttempt, SyncJob
from maaledu.work.queue import claim, drain, run_item
from notifications.models import Email
from notifications.queue import EMAILS
from tests.concurrency import race, winners
from tests.factories import completed, deliver, make_course, make_pending
from tests.sandbox_client import Sandbox

PURPOSE = Purpose("Onboarding 2026", "Example Works")
LIST = """e-mail;name
ann@example.com;Ann
Bob@Example.com;Bob
bob@example.com;Bob again
not an address;Carl
paid@example.com;Dora
;Eve
"""
NAMED = {4: "duplicate", 5: "address", 6: "enrolled", 7: "address"}


def make_batch(text: str = LIST, *, course: Course | None = None) -> EnrollmentBatch:
    return batches.draft(course or make_course(), text.encode(), purpose=PURPOSE, by="staff")


def rows_of(batch: EnrollmentBatch) -> Any:
    return BatchRow.objects.filter(batch=batch)


def list_of(count: int) -> str:
    return "".join(f"learner{n}@example.com,Learner {n}\n" for n in range(count))


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a@example.com,Ann\r\n\r\nb@example.com\r\n", [(1, "a@example.com", "Ann", ""),
                                                        (3, "b@example.com", "", "")]),
        ("\ufeffName\tE-Mail\nÄnn\tA@example.com\n".encode(), [(2, "a@example.com", "Änn", "")]),
        (b'a@example.com;"Ann; of X"\n', [(1, "a@example.com", "Ann; of X", "")]),
        (b"a@b\nnull@example.com,a\0b\n", [(1, "a@b", "", "address"),
                                          (2, "null@example.com", "a\N{REPLACEMENT CHARACTER}b",
                                           "name")]),
        (b"a@example.com,x\nA@EXAMPLE.com,y\n", [(1, "a@example.com", "x", ""),
                                                (2, "a@example.com", "y", "duplicate")]),
    ],
)  # fmt: skip
def test_a_list_is_read_as_spreadsheets_write_it(data: bytes, expected: list) -> None:
    found = batch_file.read(data)
    assert [(line.number, line.email, line.name, line.problem) for line in found] == expected


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "names nobody"),
        (b"e-mail,name\n", "names nobody"),
        ("ann@example.com,Änn".encode("cp1252"), "UTF-8"),
        (list_of(5001).encode(), "at most 5000"),
        (b"x" * (2 * 1024 * 1024 + 1), "2 MB"),
        (b'a@example.com,"' + b"x" * 200_000, "no line of a CSV"),
    ],
)
def test_what_cannot_be_read_is_refused_as_a_whole(data: bytes, said: str) -> None:
    with pytest.raises(BatchUnreadable, match=said):
        batches.draft(make_course(), data, purpose=PURPOSE, by="staff")
    assert not EnrollmentBatch.objects.exists()


def test_each_good_line_is_enrolled_and_mailed_once_and_each_bad_one_is_named(
    client: Client, sandbox: Sandbox
) -> None:
    course = make_course()
    _, payment = make_pending(course, email="paid@example.com")
    deliver(client, completed(payment))
    batch = make_batch(course=course)
    assert batch.status == "draft"
    assert {line.number: line.problem for line in batches.lines_of(batch) if line.problem} == NAMED
    assert Enrollment.objects.count() == 1
    assert not BatchRow.objects.exists()
    assert batches.start(batch, by="staff") is True
    assert batches.start(batch, by="other") is False
    for _ in range(2):
        for queue in (BATCHES, LMS_JOBS, EMAILS):
            drain(queue)
    assert batches.counts_of(batch) == Counts(with_access=2, bad=4)
    assert dict(rows_of(batch).exclude(problem="").values_list("number", "problem")) == NAMED
    for email in ("ann@example.com", "bob@example.com"):
        invited = Enrollment.objects.get(email=email)
        assert (invited.kind, invited.status, invited.amount) == ("invited", "paid", 0)
        assert invited.batch_id == batch.pk
        assert len(sandbox.enrollments(email, course.lms_course_id)) == 1
        assert len(sandbox.mails(email)) == 1
    assert make_batch(course=course).pk == batch.pk
    batch.refresh_from_db()
    assert (batch.source, batch.started_by, batch.payer) == ([], "staff", "Example Works")


def test_one_starts_a_batch_however_many_ask() -> None:
    batch = make_batch(list_of(3))
    assert winners(race(lambda _: batches.start(batch, by="staff"), threads=4)) == 1
    assert rows_of(batch).count() == 3


def test_whoever_buys_while_their_line_waits_is_named_and_not_enrolled_twice() -> None:
    course = make_course()
    batch = make_batch(list_of(2), course=course)
    batches.start(batch, by="staff")
    make_pending(course, email="learner1@example.com")
    drain(BATCHES)
    assert batches.counts_of(batch) == Counts(giving_access=1, bad=1)
    assert rows_of(batch).get(number=2).problem == "in_checkout"


def test_a_purchase_waits_behind_few_of_a_batch_and_not_behind_all(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "BATCH_AHEAD", 10)
    batch = make_batch(list_of(40))
    batches.start(batch, by="staff")
    drain(BATCHES)
    ahead = SyncJob.objects.count()
    assert 10 <= ahead < 20
    _, payment = make_pending(email="buyer@example.com")
    deliver(client, completed(payment))
    drain(BATCHES)
    order = list(SyncJob.objects.order_by("next_attempt_at").values_list("email", flat=True))
    assert order.index("buyer@example.com") == ahead
    assert len(order) == ahead + 1


def test_staff_are_told_once_why_the_learners_of_a_batch_have_no_access(sandbox: Sandbox) -> None:
    course = make_course()
    sandbox.lms(courses_any=False, courses=[])
    batch = make_batch(list_of(5), course=course)
    batches.start(batch, by="staff")
    for queue in (BATCHES, LMS_JOBS):
        drain(queue)
    assert batches.counts_of(batch) == Counts(failed=5)
    assert DeadLetter.objects.exclude(notification_sent_at=None).count() == 5
    alerts = Email.objects.filter(kind="staff_alert", dedupe_key__contains="dead-letter")
    assert alerts.count() == len(settings.STAFF_ALERT_EMAILS) == 1


@pytest.mark.any_engine
def test_a_discarded_draft_forgets_its_addresses_and_can_be_sent_again() -> None:
    course = make_course()
    batch = make_batch(course=course)
    assert batches.discard(batch, by="staff")
    batch.refresh_from_db()
    assert (batch.status, batch.source) == ("discarded", [])
    assert batches.start(batch, by="staff") is False
    again = make_batch(course=course)
    assert (again.pk, again.status, len(again.source)) == (batch.pk, "draft", 6)


def test_the_command_names_each_line_without_enrolling_and_then_enrolls(
    sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    course, file = make_course(slug="excel"), tmp_path / "list.csv"
    file.write_text(LIST)
    options = {"course": "excel", "reason": "Onboarding", "payer": "Example Works"}
    call_command("enroll_batch", file, dry_run=True, **options)
    said = capsys.readouterr().out
    assert "line 2: ann@example.com: good\n" in said
    assert "line 4: bob@example.com: the address is in the file already\n" in said
    assert "3 good, 3 not enrolled." in said
    assert not EnrollmentBatch.objects.exists()
    call_command("enroll_batch", file, **options)
    said = capsys.readouterr().out
    assert "100 % 3 with access, 0 getting it, 0 waiting, 0 failed, 3 not enrolled" in said
    assert len(sandbox.mails()) == Email.objects.count() == 3
    assert Enrollment.objects.filter(course=course, lms_status="success").count() == 3
    with pytest.raises(CommandError, match="on sale"):
        call_command("enroll_batch", file, **{**options, "course": "nothing"})


# --- many by one call -----------------------------------------------------------------------------
MANY = "POST /api/method/frappe.client.insert_many"
ONE = "POST /api/resource/LMS Enrollment"


def known_to_the_lms(sandbox: Sandbox, count: int) -> None:
    sandbox.lms(users=[{"email": f"learner{n}@example.com"} for n in range(count)])


def run_batch(course: Course, count: int = 12) -> EnrollmentBatch:
    batch = make_batch(list_of(count), course=course)
    batches.start(batch, by="staff")
    for queue in (BATCHES, LMS_JOBS):
        drain(queue)
    return batch


def let_rest_end() -> None:
    SyncJob.objects.filter(status="pending").update(next_attempt_at=timezone.now())
    drain(LMS_JOBS)


def assert_each_has_one(sandbox: Sandbox, course: Course, count: int = 12) -> None:
    for n in range(count):
        assert len(sandbox.enrollments(f"learner{n}@example.com", course.lms_course_id)) == 1
    assert Enrollment.objects.filter(lms_status="success").count() == count
    assert Email.objects.filter(kind="purchase_confirmation").count() == count
    given = SyncJob.objects.exclude(action=SyncJob.LOOK)
    assert set(given.values_list("lms_origin", flat=True)) == {"made"}


def test_learners_that_the_lms_knows_are_enrolled_by_one_call(sandbox: Sandbox) -> None:
    course = make_course()
    known_to_the_lms(sandbox, 10)
    run_batch(course)
    let_rest_end()
    assert_each_has_one(sandbox, course)
    assert len(sandbox.calls("lms", MANY)) == 1
    # Two whom it did not know, and the one whose job was taken up beside the first.
    assert len(sandbox.calls("lms", ONE)) == 3
    assert SyncAttempt.objects.filter(outcome="done").count() == 12


@pytest.mark.any_engine
def test_one_whom_the_lms_refuses_stops_none_of_the_others(sandbox: Sandbox) -> None:
    course = make_course()
    known_to_the_lms(sandbox, 12)
    sandbox.fault("lms", "417", MANY, times=1)
    run_batch(course)
    let_rest_end()
    assert_each_has_one(sandbox, course)
    assert len(sandbox.calls("lms", ONE)) == 12
    assert set(SyncJob.objects.values_list("creates_sent", flat=True)) == {1}


def test_a_lost_answer_about_many_rests_and_enrolls_nobody_twice(sandbox: Sandbox) -> None:
    course = make_course()
    known_to_the_lms(sandbox, 12)
    sandbox.fault("lms", "lost_answer", MANY, times=1)
    run_batch(course)
    resting = SyncJob.objects.filter(status="pending")
    soon = timezone.now() + settings.LMS_LOST_CREATE_WAIT / 2
    assert resting.filter(attempts=0, next_attempt_at__gt=soon).count() == resting.count() == 11
    let_rest_end()
    assert_each_has_one(sandbox, course)
    assert len(sandbox.calls("lms", ONE)) == 1  # whose job was taken up beside the first


# --- half-way -------------------------------------------------------------------------------------


def test_a_batch_that_is_stopped_enrolls_nobody_more_and_says_so_of_each_line(
    sandbox: Sandbox,
) -> None:
    course = make_course()
    batch = make_batch(list_of(6), course=course)
    batches.start(batch, by="staff")
    drain(BATCHES, limit=2)
    taken = claim(BATCHES, limit=1)
    assert batches.stop(batch, by="staff") is True
    assert batches.stop(batch, by="other") is False
    for row in taken:  # at the moment of the stop this one was somebody's already
        run_item(BATCHES, row)
    for _ in range(2):
        for queue in (BATCHES, LMS_JOBS, EMAILS):
            drain(queue)
    assert batches.counts_of(batch) == Counts(with_access=2, bad=4)
    assert dict(rows_of(batch).values_list("number", "problem")) == {
        1: "", 2: "", 3: "stopped", 4: "stopped", 5: "stopped", 6: "stopped",
    }  # fmt: skip
    assert Enrollment.objects.count() == len(sandbox.mails()) == 2
    again = make_batch(list_of(6), course=course)
    assert (again.pk, again.status) == (batch.pk, "stopped")


def test_a_batch_is_not_started_for_a_course_that_has_gone_off_sale() -> None:
    course = make_course()
    batch = make_batch(list_of(2), course=course)
    Course.objects.filter(pk=course.pk).update(status=Course.Status.DRAFT)
    with pytest.raises(BatchOffSale):
        batches.start(batch, by="staff")
    batch.refresh_from_db()
    assert (batch.status, len(batch.source), BatchRow.objects.count()) == ("draft", 2, 0)


def test_an_lms_that_is_down_half_way_loses_and_doubles_nobody(sandbox: Sandbox) -> None:
    course = make_course()
    known_to_the_lms(sandbox, 12)
    batch = make_batch(list_of(12), course=course)
    batches.start(batch, by="staff")
    drain(BATCHES)
    sandbox.fault("lms", "down", MANY)
    drain(LMS_JOBS)
    sandbox.fault("lms", "down")
    let_rest_end()
    assert batches.counts_of(batch).failed == 0
    sandbox.heal("lms")
    PlatformState.objects.update(state="closed", failures=0, retry_at=None)
    for _ in range(3):
        let_rest_end()
    assert_each_has_one(sandbox, course)


@pytest.mark.any_engine
def test_whoever_has_paid_and_still_waits_for_access_is_named_as_enrolled(client: Client) -> None:
    course = make_course()
    _, payment = make_pending(course, email="paid@example.com")
    deliver(client, completed(payment))
    batch = make_batch("PAID@example.com,P\nnew@example.com,=HYPERLINK(1)\n", course=course)
    assert [(line.email, line.problem) for line in batches.lines_of(batch)] == [
        ("paid@example.com", "enrolled"),
        ("new@example.com", ""),
    ]
