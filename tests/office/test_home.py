"""The office's first page and sidebar: what waits, how the work goes, and what came in."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags

from accounts.models import User
from affiliates.models import Affiliate
from enrollments.models import AccessComparison, AccessDifference, Enrollment
from grants.models import Grant
from lms_sync.models import DeadLetter, PlatformState, SyncJob
from notifications.models import Email, UndeliverableAddress
from operations import day_figures, heartbeats
from operations.home import sidebar, waiting
from operations.models import DayFigures, Trouble
from payments.models import Dispute, EarlyFraudWarning, Payment, Refund, RefundRequest, StripeEvent
from tests.affiliates.make import make_affiliate, make_staff
from tests.factories import make_course, make_payment, make_pending
from tests.office.test_lists import member
from tests.statements import statements

pytestmark = [pytest.mark.django_db, pytest.mark.breaks_invariants, pytest.mark.any_engine]

MOST_STATEMENTS = 8
NOW = timezone.now


@pytest.fixture
def boss(db: None) -> Client:
    client = Client()
    client.force_login(make_staff(email="boss@example.com"))
    return client


def words(answer: Any) -> str:
    return " ".join(strip_tags(answer.content.decode().replace("<", " <")).split())


def section(answer: Any, title: str) -> str:
    """Return the words of one section of the page."""
    part = answer.content.decode().partition(f'id="{title}-title"')[2].partition(">")[2]
    return " ".join(strip_tags(part.partition("</section>")[0].replace("<", " <")).split())


def paid(**fields: Any) -> Enrollment:
    """Return a paid enrollment, made and paid eleven minutes ago unless said otherwise."""
    at = fields.pop("at", NOW() - timedelta(minutes=11))
    enrollment, payment = make_pending(fields.pop("course", None), created_at=at)
    Payment.objects.filter(pk=payment.pk).update(
        status="paid", amount_received=payment.amount, currency_received="usd", created_at=at
    )
    values = {"status": "paid", "paid_at": at, **fields}
    Enrollment.objects.filter(pk=enrollment.pk).update(**values)
    enrollment.refresh_from_db()
    return enrollment


def letter(number: int = 0) -> DeadLetter:
    job = SyncJob.objects.create(
        dedupe_key=f"enroll:{number}",
        status="dead",
        platform="frappe",
        email=f"{number}@example.com",
        course_id="c",
    )
    at = {"first_attempt_at": NOW(), "last_attempt_at": NOW()}
    return DeadLetter.objects.create(job=job, reason="LMS_REFUSED", **at)


def one_of_each() -> None:
    """Make one of everything that waits for staff."""
    paid(lms_status="failed")
    letter()
    StripeEvent.objects.create(event_id="evt_1", type="any", livemode=False, payload={})
    StripeEvent.objects.update(status="dead")
    twice = paid(lms_status="success").payments.get()
    Payment.objects.filter(pk=twice.pk).update(review_reason="duplicate")
    reversal = {"payment": twice, "payment_intent_id": "pi_1", "amount": 1, "currency": "usd"}
    Dispute.objects.create(
        stripe_dispute_id="dp_1", status="open", stripe_status="needs_response", **reversal
    )
    Refund.objects.create(idempotency_key="r1", source="staff", status="failed", **reversal)
    RefundRequest.objects.create(payment=twice)
    EarlyFraudWarning.objects.create(
        stripe_warning_id="issfr_1",
        payment=twice,
        payment_intent_id="pi_1",
        fraud_type="misc",
        warned_at=NOW(),
        is_actionable=True,
    )
    AccessDifference.objects.create(
        enrollment=twice.enrollment, platform="frappe", course_id="c", kind="missing"
    )
    long_ago = date(2020, 1, 1)
    Grant.objects.create(
        course=twice.enrollment.course,
        email="a@example.com",
        name="Ada",
        situation="S",
        motivation="M",
        consented_at=NOW(),
        answer_due_on=long_ago,
        currency="usd",
    )
    Affiliate.objects.filter(pk=make_affiliate().pk).update(status="applied")
    Email.objects.create(dedupe_key="m", kind="any", to="a@example.com", status="dead")
    UndeliverableAddress.objects.create(email="gone@example.com", reason="bounced")


@pytest.mark.every_engine
def test_each_thing_that_waits_is_a_link_to_its_list_with_that_and_nothing_else(
    boss: Client,
) -> None:
    paid(lms_status="success")
    paid(lms_status="pending", at=NOW())  # access follows within minutes
    make_payment(paid(lms_status="success"), review_reason="duplicate")  # not received
    one_of_each()
    shown = boss.get("/admin/").context["waiting"]
    expected = {each.words[0] for each in waiting.ALL} - {
        "payout to release",
        "payout to pay and mark as paid",
        "fraud signal to review",
    }
    assert {line["words"] for line in shown} == expected
    assert {line["number"] for line in shown} == {"1"}
    for line in shown:
        listed = boss.get(line["url"])
        assert listed.status_code == 200, line
        assert len(waiting_on(listed)) == 1, line


def waiting_on(page: Any) -> Any:
    """Return what waits on a page that is for working through it, or in a list."""
    context = page.context
    return context["queue"].rows if "queue" in context else context["cl"].result_list


def test_what_waits_is_counted_to_fifty_and_shown_to_who_may_look(db: None) -> None:
    UndeliverableAddress.objects.bulk_create(
        UndeliverableAddress(email=f"{n}@example.com", reason="bounced") for n in range(102)
    )
    letter()
    page = member("view_undeliverableaddress").get("/admin/")
    assert section(page, "waiting") == "Needs you 50+ addresses whose mails come back"
    assert "Figures" not in words(page)


def test_nothing_waits(boss: Client) -> None:
    assert "Nothing waits for you." in section(boss.get("/admin/"), "waiting")


# --- health ---------------------------------------------------------------------------------------
def all_is_well() -> None:
    for name in (heartbeats.WORKER, heartbeats.SCHEDULER, heartbeats.WATCH):
        heartbeats.note(name)
    PlatformState.objects.create(name="frappe", last_ok_at=NOW(), latency_ms=120)


def test_health_is_green_while_everything_works(boss: Client) -> None:
    all_is_well()
    health = section(boss.get("/admin/"), "health")
    assert health.startswith("Health green")
    assert "Frappe LMS Answering last answer just now, 120 ms" in health
    assert "Worker Works last seen just now Scheduler Works last seen just now" in health
    assert "Stripe Works no event yet E-mail Takes mail 0 waiting" in health


@pytest.mark.every_engine
def test_an_lms_that_is_down_is_red_with_its_reason_and_what_is_parked(boss: Client) -> None:
    all_is_well()
    since = NOW() - timedelta(minutes=20)
    PlatformState.objects.update(state="open", opened_at=since, last_error="No route")
    Trouble.objects.create(
        open_key="lms_frappe", cause="lms_frappe", level="red", worst="red", text="No route"
    )
    for number in range(3):
        SyncJob.objects.create(
            dedupe_key=f"enroll:{number}",
            platform="frappe",
            email="a@example.com",
            course_id="c",
            next_attempt_at=since,
        )
    health = section(boss.get("/admin/"), "health")
    assert health.startswith("Health red")
    assert "The learning platform Frappe LMS is blocked, since" in health
    assert "Frappe LMS Unavailable since" in health
    assert "3 jobs parked, the oldest 20" in health


def test_a_worker_that_nobody_sees_and_a_look_that_nobody_makes_are_red(boss: Client) -> None:
    all_is_well()
    heartbeats.note(heartbeats.WORKER, at=NOW() - timedelta(minutes=4))
    heartbeats.note(heartbeats.WATCH, at=NOW() - timedelta(minutes=4))
    health = section(boss.get("/admin/"), "health")
    assert health.startswith("Health red")
    assert "Nobody looks whether work gets done" in health
    assert "Worker Silent last seen 4" in health


def test_health_says_when_an_lms_was_compared_and_why_not(boss: Client) -> None:
    all_is_well()
    AccessComparison.objects.create(platform="frappe", failure="LMS_PARKED: paused.")
    health = section(boss.get("/admin/"), "health")
    assert "compared with ours never, then not: LMS_PARKED: paused." in health


# --- figures --------------------------------------------------------------------------------------
def test_the_figures_are_of_today_and_of_the_same_time_before(boss: Client) -> None:
    now = datetime.now(UTC).replace(hour=12, minute=0)
    course = make_course(title="Clinical Trials")
    synced = {"lms_status": "success", "lms_synced_at": now + timedelta(seconds=4)}
    paid(course=course, at=now, **synced)
    make_pending(course, created_at=now)
    for days in (1, 8):
        paid(at=now - timedelta(days=days), lms_status="failed")
    day_figures.keep(now)
    page = boss.get("/admin/")
    rows = {row["label"]: row["cells"] for row in page.context["figures"]}
    assert rows["Checkouts"] == [("2", "1"), ("3", "1"), ("4", "0"), ("4", "0")]
    assert rows["Sold"][0] == ("1", "1")
    assert rows["Conversion"][0] == ("50.0 %", "100.0 %")
    assert rows["Gross"][:2] == [("$499.00", "$499.00"), ("$998.00", "$499.00")]
    assert rows["Got access"][0] == ("100.0 %", "0.0 %")
    assert rows["Half got access within"][0] == ("5 s", "–")
    assert "Clinical Trials 2 1 50.0 % $499.00" in section(page, "by-course")
    assert page.context["charts"][0]["summary"].startswith("Sales per day. Most: 1")
    assert f"as of {now:%b} {now.day}, 12:00 UTC" in section(page, "figures")


def test_a_day_of_which_only_the_queue_is_known_takes_nothing_from_the_others(
    boss: Client,
) -> None:
    before = NOW() - timedelta(days=1)
    paid(at=before, lms_status="success", lms_synced_at=before + timedelta(seconds=4))
    day_figures.keep()
    assert DayFigures.objects.get(day=NOW().date()).figures == {}
    rows = {row["label"]: row["cells"] for row in boss.get("/admin/").context["figures"]}
    assert rows["Half got access within"][:2] == [("–", "5 s"), ("5 s", "–")]


def test_who_may_see_no_payments_sees_sales_without_money(db: None) -> None:
    paid()
    day_figures.keep()
    page = member("view_enrollment").get("/admin/")
    labels = [row["label"] for row in page.context["figures"]]
    assert "Sold" in labels
    assert "Gross" not in labels
    assert "$" not in words(page)


def test_the_period_of_the_tables_is_chosen_by_a_link_and_nothing_else(boss: Client) -> None:
    paid(at=NOW() - timedelta(days=20))
    day_figures.keep()
    sold = {
        days: [
            row["sold"] for row in boss.get("/admin/", {"days": days}).context["breakdowns"][0][2]
        ]
        for days in ("1", "30", "x")
    }
    assert sold == {"1": [], "30": ["1"], "x": ["1"]}


@pytest.mark.engines("sqlite", "postgres")
def test_the_home_is_read_in_eight_statements_at_most(boss: Client) -> None:
    all_is_well()
    one_of_each()
    day_figures.keep()
    clerk = member(*Permission.objects.values_list("codename", flat=True))
    numbers = []
    for client in (boss, clerk):
        cache.clear()
        with statements() as asked:
            assert client.get("/admin/").status_code == 200
        numbers.append(len(asked))
    assert numbers == [5, 7]
    assert max(numbers) <= MOST_STATEMENTS


# --- the sidebar ----------------------------------------------------------------------------------
def test_the_sidebar_is_by_job_and_leads_to_every_page(boss: Client) -> None:
    groups = boss.get("/admin/").context["sidebar_navigation"]
    jobs = ["", "Learners", "Sales", "Grants", "Affiliates", "Courses", "Platform", "Settings"]
    assert [group["title"] for group in groups] == jobs
    links = [item["link"] for group in groups for item in group["items"]]
    assert len(links) == len(set(links)) == len(admin.site._registry) + 5
    for job in sidebar.JOBS.values():
        assert all(page.page in {m._meta.label_lower for m in admin.site._registry} for page in job)


def test_what_waits_is_a_badge_in_the_sidebar_for_who_may_look(db: None) -> None:
    letter()
    cache.clear()
    clerk = member("view_deadletter", "view_course")
    groups = clerk.get("/admin/lms_sync/deadletter/").context["sidebar_navigation"]
    shown = {item["title"]: item.get("badge") for group in groups for item in group["items"]}
    assert shown == {"Home": None, "Courses": None, "Dead letters": "1"}


@pytest.mark.every_engine
def test_every_page_of_a_learner_shop_has_the_sidebar_at_no_more_than_one_statement(
    boss: Client,
) -> None:
    cache.clear()
    counts = []
    for _ in range(2):
        with statements() as asked:
            boss.get("/admin/grants/program/")
        counts.append(len(asked))
    assert counts[0] - counts[1] == 1


@pytest.mark.every_engine
def test_the_office_is_for_staff(client: Client) -> None:
    assert client.get("/admin/").status_code == 302
    client.force_login(User.objects.create_user("learner@example.com", "a long enough passphrase"))
    assert client.get("/admin/").status_code in (302, 403)
    assert DayFigures.objects.count() == 0


@pytest.mark.parametrize("page", ["/admin/", "/admin/enrollments/enrollmentbatch/"])
def test_a_part_that_is_asked_for_after_the_session_has_ended_is_no_page_to_sign_in(
    boss: Client, page: str
) -> None:
    part = {"HX-Request": "true"}
    assert "HX-Retarget" not in boss.get(page, headers=part)
    boss.logout()
    answer = boss.get(page, headers=part)
    assert (answer.status_code, answer["HX-Retarget"]) == (200, "#signed-out")
    assert "You are signed out" in words(answer)
    assert 'type="password"' not in answer.content.decode()
    assert boss.get(page).status_code == 302
