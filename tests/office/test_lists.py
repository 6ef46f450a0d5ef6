from datetime import UTC, datetime, timedelta

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape, strip_tags

from accounts.models import User
from enrollments.by_staff import Guest, comp
from enrollments.models import Enrollment
from enrollments.provisioning import LMS_JOBS
from lms_sync.models import DeadLetter, SyncJob
from maaledu.work.queue import drain
from notifications.models import Email
from office.empty_lists import WHEN_EMPTY
from payments.models import StripeEvent
from payments.webhooks import EVENTS
from tests.enrollments.test_provisioning import buy, run_lms_job
from tests.factories import completed, deliver, make_course, make_pending, refund_of, refunded
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.any_engine

PAGES = [
    "enrollments/enrollment",
    "payments/payment",
    "enrollments/enrollmentevent",
    "payments/stripeevent",
    "payments/webhookproblem",
    "payments/reconciliation",
    "enrollments/accessdifference",
    "enrollments/accesscomparison",
    "lms_sync/syncjob",
    "lms_sync/deadletter",
    "lms_sync/platformstate",
    "notifications/email",
    "courses/course",
    "accounts/user",
]


@pytest.fixture
def staff() -> Client:
    User.objects.create_superuser("boss@example.com", "a long enough passphrase")
    client = Client()
    client.force_login(User.objects.get(email="boss@example.com"))
    return client


def member(*permissions: str) -> Client:
    user = User.objects.create_user("clerk@example.com", "a long enough passphrase", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def act(client: Client, page: str, action: str, *rows: object):
    return client.post(
        f"/admin/{page}/",
        {"action": action, "_selected_action": [str(row) for row in rows]},
        follow=True,
    )


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.every_engine) if page == "accounts/user" else page
        for page in PAGES
    ],
)
def test_every_page_opens_lists_searches_and_shows_its_rows(
    staff: Client, buyer: Client, sandbox: Sandbox, page: str
) -> None:
    buy(buyer)
    drain(LMS_JOBS)
    listing = staff.get(f"/admin/{page}/", {"q": "example"})
    assert listing.status_code == 200
    for row in staff.get(f"/admin/{page}/").context["cl"].result_list[:1]:
        assert staff.get(f"/admin/{page}/{row.pk}/change/").status_code == 200


@pytest.mark.parametrize("page", PAGES[:10])
def test_queues_and_ledgers_cannot_be_added_to_edited_or_deleted_from_by_hand(
    staff: Client, buyer: Client, page: str
) -> None:
    buy(buyer)
    assert staff.get(f"/admin/{page}/add/").status_code == 403
    for row in staff.get(f"/admin/{page}/").context["cl"].result_list[:1]:
        assert staff.post(f"/admin/{page}/{row.pk}/change/", {"status": "paid"}).status_code == 403
        assert staff.post(f"/admin/{page}/{row.pk}/delete/", {"post": "yes"}).status_code == 403


def test_searching_by_email_stripe_id_and_enrollment_id_finds_the_thing(staff: Client) -> None:
    enrollment, payment = make_pending()
    make_pending()
    for text in (enrollment.email, str(enrollment.pk), payment.stripe_session_id, enrollment.token):
        found = staff.get("/admin/enrollments/enrollment/", {"q": text}).context["cl"].result_list
        assert [row.pk for row in found] == [enrollment.pk], text
    found = (
        staff.get("/admin/payments/payment/", {"q": payment.stripe_session_id})
        .context["cl"]
        .result_list
    )
    assert [row.pk for row in found] == [payment.pk]


def test_an_enrollment_begins_with_what_staff_look_for(staff: Client) -> None:
    enrollment, _ = make_pending()
    page = staff.get(f"/admin/enrollments/enrollment/{enrollment.pk}/change/")
    shown = [
        field.label_tag()
        for fieldset in page.context["adminform"]
        for line in fieldset
        for field in line
    ]
    assert [strip_tags(label) for label in shown][:7] == [
        "Email",
        "Name",
        "Course title",
        "Status",
        "Access",
        "Price",
        "Paid at",
    ]
    assert "Lms" not in page.content.decode()


@pytest.mark.breaks_invariants  # a sync without its job
def test_moments_in_the_office_have_a_year_and_a_zone(staff: Client) -> None:
    moments = {
        "created_at": datetime(2026, 11, 20, 17, 0, tzinfo=UTC),
        "lms_synced_at": datetime(2026, 11, 21, 9, 30, tzinfo=UTC),
    }
    enrollment, _ = make_pending(**moments)
    url = "/admin/enrollments/enrollment/"
    assert "Nov 20, 2026, 17:00 UTC" in staff.get(url).content.decode()
    page = staff.get(f"{url}{enrollment.pk}/change/").content.decode()
    assert "Nov 20, 2026, 17:00 UTC" in page
    assert "Nov 21, 2026, 09:30 UTC" in page


def test_a_refund_is_offered_where_there_is_something_to_refund(
    staff: Client, buyer: Client
) -> None:
    enrollment, payment = make_pending()

    def offers() -> list[bool]:
        pages = [
            f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/"
            for row in (enrollment, payment)
        ]
        return [f"{page}refund/" in staff.get(f"{page}change/").content.decode() for page in pages]

    assert offers() == [False, False]
    deliver(buyer, completed(payment))
    assert offers() == [True, True]
    payment.refresh_from_db()
    deliver(buyer, refunded(refund_of(payment, payment.amount)))
    assert offers() == [False, False]


def test_what_cost_nothing_is_moved_and_taken_away_on_its_page(staff: Client) -> None:
    made = comp(make_course(), Guest("ada@example.com", "Ada", "A prize"), by="boss@example.com")
    page = f"/admin/enrollments/enrollment/{made.pk}/"
    shown = staff.get(f"{page}change/").content.decode()
    names = ("move", "correct_name", "withdraw", "refund")
    assert [name for name in names if f'"{page}{name}/' in shown] == list(names[:3])


def test_retry_now_makes_a_waiting_job_due_and_leaves_a_log_entry(
    staff: Client, buyer: Client
) -> None:
    buy(buyer)
    SyncJob.objects.update(next_attempt_at=timezone.now() + timedelta(hours=1))
    job = SyncJob.objects.get()
    answer = act(staff, "lms_sync/syncjob", "retry_now", job.pk)
    assert "1 retried, 0 skipped" in answer.content.decode()
    assert SyncJob.objects.due(timezone.now()).count() == 1
    assert LogEntry.objects.get().object_id == str(job.pk)


def test_a_dead_letter_is_replayed_from_its_page_with_who_and_when(
    staff: Client, buyer: Client, sandbox: Sandbox
) -> None:
    buy(buyer)
    sandbox.lms(courses_any=False, courses=[])
    run_lms_job()
    sandbox.lms(courses_any=True)
    letter = DeadLetter.objects.get()
    assert act(staff, "lms_sync/deadletter", "replay", letter.pk).status_code == 200
    letter.refresh_from_db()
    assert (letter.status, letter.resolved_by) == ("replayed", "boss@example.com")
    assert letter.resolved_at is not None
    drain(LMS_JOBS)
    assert Enrollment.objects.get().has_access


def test_an_enrollment_is_retried_from_its_page(staff: Client, buyer: Client) -> None:
    enrollment = buy(buyer)
    SyncJob.objects.update(next_attempt_at=timezone.now() + timedelta(hours=1))
    unpaid, _ = make_pending()
    answer = act(staff, "enrollments/enrollment", "retry_sync", enrollment.pk, unpaid.pk)
    assert "1 retried, 1 skipped" in answer.content.decode()


def test_staff_without_the_permission_can_look_and_not_act(buyer: Client) -> None:
    buy(buyer)
    SyncJob.objects.update(next_attempt_at=timezone.now() + timedelta(hours=1))
    clerk = member("view_syncjob")
    assert clerk.get("/admin/lms_sync/syncjob/").status_code == 200
    act(clerk, "lms_sync/syncjob", "retry_now", SyncJob.objects.get().pk)
    assert SyncJob.objects.due(timezone.now()).count() == 0
    assert clerk.get("/admin/enrollments/enrollment/").status_code == 403
    assert LogEntry.objects.count() == 0


def test_staff_with_the_permission_can_act(buyer: Client) -> None:
    buy(buyer)
    SyncJob.objects.update(next_attempt_at=timezone.now() + timedelta(hours=1))
    act(
        member("view_syncjob", "replay_syncjob"),
        "lms_sync/syncjob",
        "retry_now",
        SyncJob.objects.get().pk,
    )
    assert SyncJob.objects.due(timezone.now()).count() == 1


def test_a_learner_is_no_staff(buyer: Client) -> None:
    buyer.force_login(User.objects.create_user("learner@example.com", "a long enough passphrase"))
    for page in PAGES:
        assert buyer.get(f"/admin/{page}/").status_code in (302, 403)


def test_dead_events_and_emails_are_replayed_from_their_pages(staff: Client, buyer: Client) -> None:
    buy(buyer)
    StripeEvent.objects.update(status="dead")
    event = StripeEvent.objects.get()
    assert (
        "1 replayed, 0 skipped"
        in act(staff, "payments/stripeevent", "replay", event.pk).content.decode()
    )
    drain(EVENTS)
    event.refresh_from_db()
    assert (event.status, event.outcome) == ("done", "Payment already processed")
    assert Email.objects.count() == 0


@pytest.mark.every_engine
def test_a_list_without_rows_says_what_would_be_there(db: None, staff: Client) -> None:
    assert set(WHEN_EMPTY) == {model._meta.label_lower for model in admin.site._registry}
    for label in ("lms_sync.deadletter", "payments.refundrequest", "legacy.importrun"):
        page = reverse(f"admin:{label.replace('.', '_')}_changelist")
        assert escape(WHEN_EMPTY[label]) in staff.get(page).content.decode()
        assert escape(WHEN_EMPTY[label]) not in staff.get(page, {"q": "Ada"}).content.decode()
