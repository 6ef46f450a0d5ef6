"""A learner's page: everything about one address, with what can be done, in a bounded number of
statements.
"""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from accounts.models import LearnerNote, User
from enrollments import by_staff
from enrollments.models import Enrollment, EnrollmentEvent
from enrollments.provisioning import LMS_JOBS
from lms_sync import dead_letters
from lms_sync.models import DeadLetter, SyncJob
from maaledu.db import new_id
from maaledu.work.queue import drain
from notifications import outgoing
from notifications.models import Email, UndeliverableAddress
from notifications.queue import EMAILS
from office import timeline
from office.cells import url_of
from payments.models import Dispute, Payment, RefundRequest
from tests.affiliates.make import make_affiliate
from tests.factories import (
    completed,
    deliver,
    dispute_of,
    disputed,
    make_course,
    make_pending,
    refund_of,
    refunded,
)
from tests.grants.make import make_application, make_coupon
from tests.sandbox_client import Sandbox
from tests.statements import statements

ADA = "ada@example.com"
PAGE = f"/admin/learners/{ADA}/"
VIEWED = (
    "enrollment",
    "enrollmentevent",
    "payment",
    "refund",
    "dispute",
    "earlyfraudwarning",
    "stripeevent",
    "syncjob",
    "syncattempt",
    "deadletter",
    "email",
    "grant",
    "grantevent",
    "affiliate",
    "ledgerentry",
    "user",
    "undeliverableaddress",
    "learnernote",
    "accessdifference",
    "logentry",
)
MOST_STATEMENTS = 8


@pytest.fixture
def boss(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss@example.com", "a long enough phrase"))
    return client


def clerk(*codenames: str) -> Client:
    user = User.objects.create_user("clerk@example.com", "a long enough phrase", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def text_of(answer: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def timeline_of(answer: Any) -> list[str]:
    page = answer.content.decode()
    listed = page.partition('<ol id="timeline">')[2].partition("</ol>")[0]
    items = [f"<li{each}" for each in listed.split("<li")[1:]]
    return [" ".join(re.sub(r"<[^>]+>", " ", each).split()) for each in items]


def bought(buyer: Client, **fields: Any) -> Enrollment:
    enrollment, payment = make_pending(email=ADA, name="Ada Lovelace", **fields)
    deliver(buyer, completed(payment))
    enrollment.refresh_from_db()
    return enrollment


def test_one_page_tells_all_of_it(boss: Client, buyer: Client, sandbox: Sandbox) -> None:
    enrollment = bought(buyer)
    payment = enrollment.payments.get()
    drain(LMS_JOBS)
    drain(EMAILS)
    deliver(buyer, refunded(refund_of(payment, 1000)))
    deliver(buyer, disputed(dispute_of(payment)))
    make_coupon(email=ADA, course=make_course())
    User.objects.create_user(ADA, "a long enough phrase", last_login=timezone.now())
    make_affiliate(email="other@example.com")
    LearnerNote.objects.create(email=ADA, text="Called at noon.", written_by="boss@example.com")
    boss.post(f"/admin/enrollments/enrollment/{enrollment.pk}/correct_name/", {"name": "Ada King"})
    answer = boss.get(PAGE)
    assert answer.status_code == 200
    told = " | ".join(timeline_of(answer))
    for words in (
        "Checkout begun",
        "Enrollment paid",
        "Payment $499.00 paid",
        "Stripe reported checkout.session.completed",
        "Access asked for done",
        "Frappe LMS",
        "The LMS was asked",
        "E-mail: You",
        "Refund $10.00 succeeded",
        "Dispute: fraudulent",
        "Applied for a grant",
        "Grant approved",
        "Account made",
        "Signed in last",
        "Called at noon.",
        "Name corrected from “Ada Lovelace” to “Ada King”",
        enrollment.course_title,
        payment.stripe_session_id,
    ):
        assert words in told, words
    assert "has access" in text_of(answer)
    assert "other@example.com" not in told


@pytest.mark.any_engine
def test_the_technical_part_is_folded_and_the_mail_has_its_text(
    boss: Client, buyer: Client, sandbox: Sandbox
) -> None:
    enrollment = bought(buyer)
    drain(LMS_JOBS)
    page = boss.get(PAGE).content.decode()
    folded = "".join(re.findall(r"<details>.*?</details>", page, re.DOTALL))
    shown = re.sub(r"<details>.*?</details>", "", page, flags=re.DOTALL)
    assert enrollment.payments.get().stripe_session_id in folded
    assert enrollment.payments.get().stripe_session_id not in shown
    assert "Hello Ada" in folded
    assert enrollment.token not in page  # a learner's own pages are not for staff to open


def test_a_code_for_the_owner_alone_is_not_shown(boss: Client) -> None:
    outgoing.stage(
        kind=outgoing.ACCOUNT,
        to=ADA,
        dedupe_key="code:1",
        context={"subject": "Your code", "text": "424242"},
    )
    page = boss.get(PAGE).content.decode()
    assert "424242" not in page
    assert "It holds a code for its owner alone" in page


@pytest.mark.parametrize("is_boss", [True, False], ids=["superuser", "clerk"])
def test_any_number_of_rows_takes_as_many_statements(
    db: None, buyer: Client, sandbox: Sandbox, is_boss: bool
) -> None:
    codenames = [f"view_{name}" for name in VIEWED]
    client = clerk(*codenames)
    if is_boss:
        User.objects.filter(email="clerk@example.com").update(is_superuser=True)
    counts = []
    for _ in range(2):
        bought(buyer)
        drain(LMS_JOBS)
        client.get(PAGE)  # what is kept for the next one
        with statements() as asked:
            assert client.get(PAGE).status_code == 200
        counts.append(len(asked))
    assert counts[0] == counts[1] <= MOST_STATEMENTS


def test_each_page_of_it_goes_on_where_the_last_one_ended(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "ROWS_A_PAGE", 3)
    enrollment, _ = make_pending(email=ADA)
    moment = timezone.now()
    for number in range(7):
        EnrollmentEvent.objects.create(
            enrollment=enrollment,
            from_status="pending",
            to_status="pending",
            actor="test",
            note=f"note {number}",
            # Four at the same moment, over the end of a page.
            created_at=moment - timedelta(seconds=max(number - 3, 0)),
        )
    seen, address = [], PAGE
    while address:
        answer = boss.get(address)
        assert len(timeline_of(answer)) <= 3
        seen += timeline_of(answer)
        link = re.search(r'rel="next" href="(\?cursor=[^"]+)"', answer.content.decode())
        address = f"{PAGE}{link[1]}" if link else ""
    assert len(seen) == len(set(seen)) == 9  # and the checkout and its payment
    assert boss.get(f"{PAGE}?cursor=nonsense").status_code == 400


def test_what_one_may_not_look_at_is_not_told(db: None, buyer: Client) -> None:
    enrollment = bought(buyer)
    client = clerk("view_enrollment")
    answer = client.get(PAGE)
    assert "Checkout begun" in text_of(answer)
    assert enrollment.payments.get().stripe_session_id not in answer.content.decode()
    for action in ("Refund", "Move to another address", "Retry LMS sync now", "Enroll for free"):
        assert action not in text_of(answer), action
    assert client.post(PAGE, retry_of(enrollment)).status_code == 403


def retry_of(enrollment: Enrollment) -> dict[str, str]:
    return {"page": "enrollments.Enrollment", "name": "retry_sync", "row": str(enrollment.pk)}


@pytest.mark.any_engine
def test_without_the_permission_there_is_no_page(db: None) -> None:
    assert clerk("view_payment").get(PAGE).status_code == 403
    assert Client().get(PAGE).status_code == 302


@pytest.mark.any_engine
def test_an_unknown_address_is_said_to_be_so(boss: Client) -> None:
    answer = boss.get(PAGE)
    assert answer.status_code == 404
    assert "Nothing is known of this address" in text_of(answer)
    assert boss.get("/admin/learners/nonsense/").status_code == 404
    assert boss.get("/admin/learners/ADA@example.com/")["Location"] == PAGE


def test_a_job_is_retried_on_the_page_and_it_is_seen_there(boss: Client, buyer: Client) -> None:
    enrollment = bought(buyer)
    SyncJob.objects.update(next_attempt_at=timezone.now() + timedelta(hours=1))
    answer = boss.post(PAGE, retry_of(enrollment), follow=True)
    assert answer.redirect_chain == [(PAGE, 302)]
    assert "1 retried, 0 skipped" in text_of(answer)
    assert "LMS sync retried." in " ".join(timeline_of(answer))
    assert SyncJob.objects.due(timezone.now()).count() == 1


@pytest.mark.any_engine
def test_what_staff_decide_is_one_entry_each(boss: Client, buyer: Client, sandbox: Sandbox) -> None:
    payment = bought(buyer).payments.get()
    coupon, application = make_coupon(email=ADA, course=make_course()), make_application(email=ADA)
    gift = by_staff.comp(make_course(), by_staff.Guest(ADA, "Ada", "Speaker"), by="speaker desk")
    last_day = (timezone.now() + timedelta(days=9)).date()
    reason = {"reason": "Agreed by phone"}
    for row, name, form in (
        (gift, "correct_name", {"name": "Ada King"}),
        (gift, "retry_sync", None),
        (gift, "withdraw", reason),
        (gift, "give_back", reason),
        (coupon, "extend", {"expires_on": str(last_day)}),
        (coupon, "reissue", {}),
        (coupon, "revoke", reason),
        (application, "reject", {"reason": "budget"}),
        (payment, "refund", {"key": str(new_id()), "amount": "10", "reason": "duplicate"}),
    ):
        before = len(entries_of_staff(boss))
        page = f"{url_of(row).removesuffix('change/')}{name}/"
        boss.post(PAGE, retry_of(row)) if form is None else boss.post(page, form)
        assert len(entries_of_staff(boss)) == before + 1, name
    assert "Grant rejected: The fund for this period is used up" in entries_of_staff(boss)[1]


@pytest.mark.any_engine
@pytest.mark.breaks_invariants
def test_a_payment_is_offered_to_be_refunded_while_something_is_left_of_it(
    boss: Client, buyer: Client
) -> None:
    payment = bought(buyer).payments.get()
    link = f"/admin/payments/payment/{payment.pk}/refund/"
    assert link in boss.get(PAGE).content.decode()
    Payment.objects.update(refund_committed=payment.amount)
    assert link not in boss.get(PAGE).content.decode()


def entries_of_staff(client: Client) -> list[str]:
    return [each for each in timeline_of(client.get(PAGE)) if "boss@example.com" in each]


@pytest.mark.any_engine
@pytest.mark.parametrize(
    "form",
    [
        {"page": "enrollments.Enrollment", "name": "move", "row": "x"},
        {"page": "accounts.User", "name": "x", "row": "x"},
        {"page": "", "name": "", "row": ""},
    ],
    ids=["asks first", "no decision", "nothing"],
)
def test_only_what_is_offered_at_once_is_carried_out(boss: Client, form: dict[str, str]) -> None:
    make_pending(email=ADA)
    assert boss.post(PAGE, form).status_code == 404


def test_an_email_is_sent_again_to_the_same_address(
    boss: Client, buyer: Client, sandbox: Sandbox
) -> None:
    bought(buyer)
    drain(LMS_JOBS)
    drain(EMAILS)
    mail = Email.objects.get(kind="purchase_confirmation")
    form = {"page": "notifications.Email", "name": "send_again", "row": str(mail.pk)}
    assert boss.get(PAGE).content.decode().count("Send again") == 1
    Email.objects.create(
        dedupe_key="moved:1", kind="enrollment_moved", to=ADA, status="done", sent_at=timezone.now()
    )
    assert boss.get(PAGE).content.decode().count("Send again") == 1
    for number in (1, 2):
        boss.post(PAGE, form)
        drain(EMAILS)
        assert [each["to"] for each in sandbox.mails()] == [[ADA]] * (number + 1)
    Email.objects.filter(dedupe_key__endswith=":again:1").delete()  # as old ones are
    boss.post(PAGE, form)
    drain(EMAILS)
    assert len(sandbox.mails()) == 4


def test_a_note_is_kept_and_shown(boss: Client) -> None:
    answer = boss.post(
        f"/admin/accounts/learnernote/note/?back={PAGE}",
        {"decide": "1", "email": ADA, "text": "Called at noon."},
    )
    assert answer["Location"] == PAGE
    note = LearnerNote.objects.get()
    assert (note.email, note.text, note.written_by) == (ADA, "Called at noon.", "boss@example.com")
    assert boss.get(PAGE).status_code == 404 or "Called at noon." in text_of(boss.get(PAGE))


@pytest.mark.any_engine
def test_a_page_of_another_site_is_not_gone_back_to(boss: Client) -> None:
    answer = boss.post(
        "/admin/accounts/learnernote/note/?back=https://evil.example/",
        {"decide": "1", "email": ADA, "text": "Called at noon."},
    )
    assert answer["Location"].startswith("/admin/accounts/learnernote/")


def test_a_place_is_given_for_free_with_its_reason(
    boss: Client, buyer: Client, sandbox: Sandbox
) -> None:
    course = make_course()
    form = {"decide": "1", "email": ADA, "name": "Ada", "course": course.pk, "reason": "Speaker"}
    answer = boss.post(f"/admin/enrollments/enrollment/comp/?back={PAGE}", form, follow=True)
    assert "access follows" in text_of(answer)
    drain(LMS_JOBS)
    enrollment = Enrollment.objects.get()
    assert (enrollment.email, enrollment.amount, enrollment.has_access) == (ADA, 0, True)
    assert "Enrolled for free: Speaker" in " ".join(timeline_of(boss.get(PAGE)))
    answer = boss.post("/admin/enrollments/enrollment/comp/", form)
    assert "enrolled in the course already" in text_of(answer)
    assert Enrollment.objects.count() == 1
    course.status = "archived"
    course.save()
    answer = boss.post("/admin/enrollments/enrollment/comp/", {**form, "email": "b@example.com"})
    assert Enrollment.objects.count() == 1


def test_undeliverable_mails_are_the_first_thing_said(boss: Client) -> None:
    make_pending(email=ADA)
    UndeliverableAddress.objects.create(email=ADA, reason="bounced", sentence="550 no such user")
    assert "E-mails do not arrive: came back, since" in text_of(boss.get(PAGE))


@pytest.mark.engines("postgres")
def test_each_part_of_the_timeline_is_found_by_an_index(boss: Client, buyer: Client) -> None:
    bought(buyer)
    with statements() as asked:
        boss.get(PAGE)
    union = next(each for each in asked if "UNION" in each and "enrollmentevent" in each)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {union}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    scanned = set(re.findall(r"Seq Scan on (\w+)", plan))
    assert scanned <= {"django_admin_log", "courses_course"}, plan


@pytest.mark.any_engine
def test_a_letter_and_a_dispute_lead_to_what_can_be_done(
    boss: Client, buyer: Client, sandbox: Sandbox
) -> None:
    enrollment = bought(buyer)
    sandbox.lms(courses_any=False, courses=[])
    drain(LMS_JOBS)
    letter = DeadLetter.objects.get()
    request = RefundRequest.objects.create(payment=enrollment.payments.get())
    page = boss.get(PAGE).content.decode()
    assert f"/admin/lms_sync/deadletter/{letter.pk}/settle/?back=" in page
    for decision in ("refund", "decline"):
        assert f"/admin/payments/refundrequest/{request.pk}/{decision}/?back=" in page
    assert f"Dead letter: {letter.cause.lower()}" in page
    assert letter.reason not in re.sub(r"<details>.*?</details>", "", page, flags=re.DOTALL)
    assert f"/admin/enrollments/enrollment/{enrollment.pk}/refund/" in page
    assert "no access" in page
    assert not Dispute.objects.exists()


def test_a_letter_is_settled_only_as_it_is(boss: Client, buyer: Client, sandbox: Sandbox) -> None:
    """Fault U1: nobody leaves "paid without access" by words alone."""
    enrollment = bought(buyer)
    sandbox.lms(courses_any=False, courses=[])
    drain(LMS_JOBS)
    letter = DeadLetter.objects.get()
    page, form = f"/admin/lms_sync/deadletter/{letter.pk}/settle/", {"decide": "1", "note": "N"}
    answer = boss.post(page, {**form, "how": "refunded"})
    assert "Refund it first" in text_of(answer)
    assert DeadLetter.objects.get().status == "open"
    answer = boss.post(page, {**form, "how": "withdrew"}, follow=True)
    assert "stays in that list until" in text_of(answer)
    waiting = Enrollment.objects.without_access(timezone.now())
    assert [row.pk for row in waiting] == [enrollment.pk]
    sandbox.lms(courses_any=True)
    dead_letters.replay(letter, by="boss@example.com")
    sandbox.lms(courses_any=False, courses=[])
    drain(LMS_JOBS)
    sandbox.lms(courses_any=True)
    boss.post(page, {**form, "how": "by_hand"})
    drain(LMS_JOBS)
    enrollment.refresh_from_db()
    assert enrollment.has_access
    letter.refresh_from_db()
    assert (letter.status, letter.settled_how) == ("replayed", "by_hand")
