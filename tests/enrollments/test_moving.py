"""A move to another address: one enrollment, one access, and no mail to the wrong person, wherever
a process is killed.
"""

import signal
from collections.abc import Callable
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.test import Client
from django.utils import timezone

from accounts.models import LearnerNote, User
from courses.models import Course
from enrollments import forgetting, moving
from enrollments.errors import AddressTaken, MailOnItsWay, SameAddress
from enrollments.models import Enrollment, EnrollmentEvent
from enrollments.provisioning import LMS_JOBS
from grants.models import Grant
from lms_sync.models import DeadLetter, SyncJob
from maaledu.work.queue import drain, reap
from notifications.models import Email, UndeliverableAddress
from notifications.queue import EMAILS
from operations import invariants
from payments.models import Payment
from tests.affiliates.shop import drained
from tests.cleaning import empty_database
from tests.concurrency import race
from tests.cutting import cut_step, faults, started
from tests.factories import completed, deliver, make_course, make_pending, refund_of, refunded
from tests.faults import Faults
from tests.grants.make import make_coupon
from tests.sandbox_client import Sandbox
from tests.system.books import let_time_pass, unfinished

__all__ = ["cut_step", "faults", "started"]

pytestmark = pytest.mark.any_engine

OLD, NEW, BOSS = "old@example.com", "new@example.com", "boss@example.com"
WHY = "The address had a typing error."
CONFIRMED = "purchase_confirmation"


def bought(client: Client, course: Course | None = None, **fields: Any) -> Enrollment:
    enrollment, payment = make_pending(course, email=OLD, name="Ada", **fields)
    deliver(client, completed(payment))
    enrollment.refresh_from_db()
    return enrollment


def with_access(client: Client, course: Course | None = None) -> Enrollment:
    enrollment = bought(client, course)
    drained()
    drain(EMAILS)
    enrollment.refresh_from_db()
    assert enrollment.has_access
    return enrollment


def move(enrollment: Enrollment, to: str = NEW) -> bool:
    return moving.move(Enrollment.objects.get(pk=enrollment.pk), by=BOSS, to=to, reason=WHY)


def settle() -> None:
    drained()
    drain(EMAILS)


def in_lms(sandbox: Sandbox) -> list[str]:
    return [row["member"] for row in sandbox.enrollments()]


def kinds_to(address: str) -> list[str]:
    sent = Email.objects.filter(to=address, status="done").order_by("created_at")
    return list(sent.values_list("kind", flat=True))


@pytest.mark.every_engine
def test_the_enrollment_its_access_and_its_mails_follow(buyer: Client, sandbox: Sandbox) -> None:
    enrollment = with_access(buyer)
    assert move(enrollment)
    settle()
    moved = Enrollment.objects.get()
    assert (moved.pk, moved.email, moved.has_access) == (enrollment.pk, NEW, True)
    assert in_lms(sandbox) == [NEW]
    assert kinds_to(OLD) == [CONFIRMED, "enrollment_moved"]
    assert kinds_to(NEW) == [CONFIRMED]
    event = EnrollmentEvent.objects.latest("created_at")
    assert (event.actor, event.note) == (BOSS, f"Moved from {OLD} to {NEW}: {WHY}")
    [told] = [mail for mail in sandbox.mails(OLD) if "moved" in mail["subject"]]
    assert "n…@example.com" in told["text"]
    assert NEW not in told["text"]
    assert moved.token not in told["text"]


def test_the_link_that_the_old_address_has_shows_nothing_any_more(
    buyer: Client, sandbox: Sandbox
) -> None:
    enrollment = with_access(buyer)
    assert NEW not in buyer.get(f"/enrollments/{enrollment.token}/").content.decode()
    move(enrollment)
    assert buyer.get(f"/enrollments/{enrollment.token}/").status_code == 404
    moved = Enrollment.objects.get()
    assert buyer.get(moved.get_absolute_url()).status_code == 200
    settle()
    [mail] = sandbox.mails(NEW)
    assert moved.token in mail["text"]


@pytest.mark.every_engine
def test_what_was_not_sent_goes_to_the_new_address_alone(buyer: Client, sandbox: Sandbox) -> None:
    """Fault E2: an address refused for good, whose mails were held."""
    enrollment = bought(buyer)
    drained()
    deliver(buyer, refunded(refund_of(Payment.objects.get(), 1000)))
    UndeliverableAddress.objects.create(email=OLD, reason="bounced")
    drain(EMAILS)
    assert set(Email.objects.exclude(kind="staff_alert").values_list("status", flat=True)) == {
        "dead"
    }
    assert move(enrollment)
    assert not Email.objects.filter(kind=CONFIRMED).exists()  # until there is access
    settle()
    assert sorted(kinds_to(NEW)) == [CONFIRMED, "refund_made"]
    assert kinds_to(OLD) == []
    assert [mail["to"] for mail in sandbox.mails() if BOSS not in mail["to"]].count([OLD]) == 0
    link = Enrollment.objects.get().status_link
    assert all(link in mail["text"] for mail in sandbox.mails(NEW))


def test_without_access_yet_only_the_new_address_gets_it(buyer: Client, sandbox: Sandbox) -> None:
    enrollment = bought(buyer)
    assert move(enrollment)
    settle()
    assert in_lms(sandbox) == [NEW]
    assert kinds_to(NEW) == [CONFIRMED]
    assert kinds_to(OLD) == ["enrollment_moved"]


def test_a_dead_letter_of_the_old_address_is_over(buyer: Client, sandbox: Sandbox) -> None:
    sandbox.lms(courses_any=False, courses=[])
    enrollment = bought(buyer)
    drained()
    assert DeadLetter.objects.get().status == "open"
    sandbox.lms(courses_any=True)
    assert move(enrollment)
    settle()
    assert DeadLetter.objects.get().status == "replayed"
    assert in_lms(sandbox) == [NEW]
    assert Enrollment.objects.get().has_access


def test_what_others_gave_the_old_address_is_left(buyer: Client, sandbox: Sandbox) -> None:
    enrollment = bought(buyer)
    row = {"member": OLD, "course": enrollment.lms_course_id}
    sandbox.lms(users=[{"email": OLD, "first_name": "Ada"}], enrollments=[row])
    drained()
    assert Enrollment.objects.get().lms_origin == "found"
    assert move(enrollment)
    settle()
    assert sorted(in_lms(sandbox)) == [NEW, OLD]


def test_whose_address_was_changed_in_the_lms_too_keeps_the_one_access(
    buyer: Client, sandbox: Sandbox
) -> None:
    enrollment = with_access(buyer)
    sandbox.lms(rename_user={"name": OLD, "to": NEW})
    assert move(enrollment)
    SyncJob.objects.filter(action="leave").update(next_attempt_at=timezone.now())
    settle()
    assert in_lms(sandbox) == [NEW]
    assert Enrollment.objects.get().has_access


@pytest.mark.every_engine
def test_a_grant_follows_so_that_its_coupon_is_the_new_addresss(
    buyer: Client, sandbox: Sandbox
) -> None:
    course = make_course()
    grant = make_coupon(email=OLD, course=course, percent=100)
    form = {"email": OLD, "coupon": grant.code, "accept_terms": "on"}
    assert buyer.post(f"/checkout/{course.slug}/", form).status_code == 302
    settle()
    assert move(Enrollment.objects.get())
    settle()
    grant.refresh_from_db()
    assert (grant.email, grant.status) == (NEW, Grant.REDEEMED)
    assert in_lms(sandbox) == [NEW]


@pytest.mark.every_engine
def test_a_move_that_is_not_possible_changes_nothing(buyer: Client, sandbox: Sandbox) -> None:
    enrollment = with_access(buyer)
    make_pending(enrollment.course, email=NEW)
    unpaid, _ = make_pending(email=OLD)
    before = list(Enrollment.objects.order_by("pk").values())
    jobs, mails = SyncJob.objects.count(), Email.objects.count()
    with pytest.raises(SameAddress):
        move(enrollment, OLD)
    with pytest.raises(AddressTaken):
        move(enrollment)
    assert not move(unpaid, "third@example.com")
    Email.objects.filter(kind=CONFIRMED).update(status="running", sent_at=None)
    with pytest.raises(MailOnItsWay):
        move(enrollment, "third@example.com")
    Email.objects.filter(kind=CONFIRMED).update(status="done", sent_at=timezone.now())
    assert list(Enrollment.objects.order_by("pk").values()) == before
    assert (SyncJob.objects.count(), Email.objects.count()) == (jobs, mails)


@pytest.mark.every_engine
def test_of_two_at_once_one_moves_it(buyer: Client, sandbox: Sandbox) -> None:
    enrollment = with_access(buyer)
    moved = race(lambda number: move(enrollment, f"new{number}@example.com"), threads=3)
    assert sorted(map(str, moved)) == ["False", "False", "True"] or moved.count(True) >= 1
    settle()
    assert in_lms(sandbox) == [Enrollment.objects.get().email]


def test_a_job_that_was_under_way_gives_the_old_address_nothing(
    buyer: Client, sandbox: Sandbox
) -> None:
    """The worker had asked, and waited for the LMS, while staff moved it."""
    enrollment = bought(buyer)
    job = SyncJob.objects.get()
    sandbox.lms(
        users=[{"email": OLD, "first_name": "Ada"}],
        enrollments=[{"member": OLD, "course": enrollment.lms_course_id}],
    )
    made = sandbox.enrollments(OLD)[0]["name"]
    SyncJob.objects.filter(pk=job.pk).update(
        creates_sent=1, lms_enrollment_id=made, lms_origin="made"
    )
    assert move(enrollment)
    settle()
    assert in_lms(sandbox) == [NEW]
    assert kinds_to(OLD) == ["enrollment_moved"]


def test_staff_move_it_in_the_office(buyer: Client, sandbox: Sandbox) -> None:
    enrollment = with_access(buyer)
    staff = Client()
    staff.force_login(User.objects.create_superuser(BOSS, "a long enough phrase"))
    page = f"/admin/enrollments/enrollment/{enrollment.pk}/move/"
    answer = staff.post(page, {"decide": "1", "to": "nobody", "reason": WHY})
    assert "Enter a valid e-mail address." in answer.content.decode()
    answer = staff.post(page, {"decide": "1", "to": f" {NEW.upper()} ", "reason": WHY})
    assert answer.status_code == 302
    settle()
    assert in_lms(sandbox) == [NEW]
    shown = staff.get(f"/admin/learners/{NEW}/").content.decode()
    assert f"Moved from {OLD} to {NEW}: {WHY}" in shown


def test_whose_account_is_deleted_is_named_by_no_move_and_no_note(
    buyer: Client, sandbox: Sandbox
) -> None:
    move(with_access(buyer))
    settle()
    user = User.objects.create_user(NEW, "a long enough phrase")
    EmailAddress.objects.create(user=user, email=NEW, verified=True, primary=True)
    LearnerNote.objects.create(email=NEW, text="Called.", written_by=BOSS)
    forgetting.delete_account(user, by="its owner")
    assert not LearnerNote.objects.exists()
    notes = list(EnrollmentEvent.objects.values_list("note", flat=True))
    assert "Moved." in notes
    assert not [note for note in notes if NEW in note or OLD in note]


# --- cut off --------------------------------------------------------------------------------------
def is_about_turns(faults: Faults, number: int) -> bool:
    """Whether a write is a lock or the breaker's: whose turn it is, and how the LMS is."""
    return any(name in faults.writes[number - 1] for name in ("synclock", "platformstate"))


def recover() -> None:
    """Let the time pass after which the work of a lost worker is taken up again."""
    for _ in range(8):
        let_time_pass()
        for queue in (LMS_JOBS, EMAILS):
            reap(queue)
            drain(queue)
        if not unfinished():
            return
    raise AssertionError(unfinished())


@pytest.mark.slow
@pytest.mark.engines("sqlite")
@pytest.mark.parametrize("step", ["move", "provision"])
def test_a_kill_at_any_step_leaves_one_place_and_one_access(
    buyer: Client, sandbox: Sandbox, faults: Faults, cut_step: Callable[..., int], step: str
) -> None:
    course, at, lasting = make_course(slug="course"), 0, [0]
    while lasting:
        at = lasting.pop(0)
        empty_database()
        sandbox.reset()
        enrollment = with_access(buyer, make_course(slug=course.slug))
        arguments = {"enrollment": str(enrollment.pk), "to": NEW, "reason": WHY}
        if step == "provision":
            assert move(enrollment)
        exit_code = cut_step(at, step, **(arguments if step == "move" else {}))
        assert exit_code == (-signal.SIGKILL if at else 0)
        if not at:  # the clean run says where to cut
            lasting = [number for number in faults.lasting if not is_about_turns(faults, number)]
            assert lasting
        if step == "move" and Enrollment.objects.get().email == OLD:
            assert move(enrollment)
        recover()
        moved = Enrollment.objects.get()
        assert (moved.email, moved.has_access) == (NEW, True), (step, at)
        assert in_lms(sandbox) == [NEW], (step, at)
        assert [mail["to"] for mail in sandbox.mails(NEW)][:1] == [[NEW]]
        assert len({mail["message_id"] for mail in sandbox.mails(NEW)}) == 1, (step, at)
        assert len({mail["message_id"] for mail in sandbox.mails(OLD)}) == 2, (step, at)
        assert invariants.verify() == [], (step, at)
