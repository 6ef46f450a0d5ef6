"""The reports of the day, the week and the month (requirement R162)."""

import json
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from django.utils.html import escape
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from pytest_django import Settings

from affiliates.models import Commission
from enrollments.models import AccessDifference, Enrollment, EnrollmentEvent
from grants.models import Program
from lms_sync.models import DeadLetter, SyncJob
from notifications.models import Email
from notifications.outgoing import compose
from operations import commission_accuracy, report_sections, reports
from operations.report_page import days_of
from operations.report_sections import Period, Section
from payments.models import Reconciliation
from tests.affiliates.make import make_affiliate, make_staff, sell
from tests.factories import make_course, make_pending
from tests.operations.test_commands import run
from tests.statements import statements

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
SUNDAY, MONDAY = datetime(2026, 11, 29, 3, tzinfo=UTC), datetime(2026, 11, 30, 3, tzinfo=UTC)
PAGE = "/admin/reports/"
TUESDAY = datetime(2026, 12, 1, 3, tzinfo=UTC)


def lately() -> Period:
    """Return the week that ends tomorrow."""
    until = timezone.now().replace(microsecond=0) + timedelta(days=1)
    return Period("weekly", until - timedelta(days=7), until)


def rows_of(section: Section) -> dict[str, str]:
    return dict(section.rows)


def make(name: str, period: Period | None = None) -> Section:
    return getattr(report_sections, name)(period or lately(), timezone.now())


def fail(number: int = 0, **fields) -> tuple[Enrollment, DeadLetter]:
    """Return an enrollment and the dead letter of its job."""
    enrollment, _ = make_pending(make_course(slug=f"failed-{number}"))
    Enrollment.objects.filter(pk=enrollment.pk).update(status="paid", lms_status="failed")
    job = SyncJob.objects.create(
        dedupe_key=f"enroll:{enrollment.pk}",
        status="dead",
        platform="frappe",
        email=enrollment.email,
        course_id=enrollment.lms_course_id,
    )
    at = fields.pop("at", timezone.now())
    facts = {"reason": "LMS_REFUSED", "first_attempt_at": at, "last_attempt_at": at}
    return enrollment, DeadLetter.objects.create(job=job, **{**facts, **fields})


# --- periods --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "now", "name"),
    [
        ("daily", SUNDAY, "2026-11-28"),
        ("daily", TUESDAY, "2026-11-30"),
        ("weekly", SUNDAY, "2026-11-16 to 2026-11-22"),
        ("weekly", MONDAY, "2026-11-23 to 2026-11-29"),
        ("monthly", MONDAY, "2026-10-01 to 2026-10-31"),
        ("monthly", TUESDAY, "2026-11-01 to 2026-11-30"),
        ("monthly", datetime(2027, 1, 1, tzinfo=UTC), "2026-12-01 to 2026-12-31"),
    ],
)
def test_a_report_is_of_the_last_period_that_has_ended(kind: str, now: datetime, name: str) -> None:
    assert reports.last_period(kind, now).name == name


# --- sections -------------------------------------------------------------------------------------
@pytest.mark.breaks_invariants
def test_the_failed_enrollments_of_a_week_are_named_with_their_state_now() -> None:
    week = lately()
    enrollment, letter = fail(1)
    fail(2, status="replayed", at=week.since)
    fail(3, at=week.since - timedelta(milliseconds=1))
    fail(4, at=week.until)
    # The second was refused by the LMS: its letter says so.
    for from_status in ("pending", "paid"):
        EnrollmentEvent.objects.create(
            enrollment=enrollment, from_status=from_status, to_status="failed", actor="tests"
        )
    Enrollment.objects.filter(pk=enrollment.pk).update(lms_status="success")
    section = make("failed_enrollments", week)
    assert section.rows == [
        ("Failed at the learning platform", "2"),
        ("Of these now open", "1"),
        ("Of these now replayed", "1"),
        ("Of these now settled", "0"),
        ("Open dead letters in all", "3"),
        ("Payments that failed", "1"),
    ]
    assert section.lines[0] == (
        f"{letter.last_attempt_at:%Y-%m-%d %H:%M} UTC, enroll {enrollment.email} in"
        f" {enrollment.lms_course_id}: LMS_REFUSED."
        " Now paid, access success; dead letter open."
    )
    assert "access failed; dead letter replayed" in section.lines[1]
    assert len(section.lines) == 2


@pytest.mark.breaks_invariants
def test_no_more_than_a_hundred_are_named_and_all_are_counted() -> None:
    now = timezone.now()
    common = {"status": "dead", "platform": "frappe", "email": "a@example.com", "course_id": "c"}
    jobs = [SyncJob(dedupe_key=f"enroll:{number}", **common) for number in range(101)]
    SyncJob.objects.bulk_create(jobs)
    facts = {"reason": "LMS_REFUSED", "first_attempt_at": now}
    DeadLetter.objects.bulk_create(
        DeadLetter(job=job, last_attempt_at=now - timedelta(minutes=number), **facts)
        for number, job in enumerate(jobs)
    )
    section = make("failed_enrollments")
    assert rows_of(section)["Failed at the learning platform"] == "101"
    assert len(section.lines) == 101
    assert section.lines[99].startswith(f"{now - timedelta(minutes=99):%Y-%m-%d %H:%M} UTC, ")
    assert section.lines[100] == "The newest 100 of 101 are named."


@pytest.mark.breaks_invariants
def test_each_queue_says_what_is_due_what_waits_and_what_was_done() -> None:
    now = timezone.now()
    common = {"platform": "frappe", "email": "a@example.com", "course_id": "c"}
    late = now - timedelta(minutes=7)
    for number, fields in enumerate(
        (
            {"next_attempt_at": late},
            {"next_attempt_at": now + timedelta(hours=1)},
            {"status": "running"},
            {"status": "dead"},
            {"status": "done", "finished_at": now},
            {"status": "done", "finished_at": now - timedelta(days=8)},
        )
    ):
        SyncJob.objects.create(dedupe_key=f"enroll:{number}", **common, **fields)
    rows = rows_of(make("queue"))
    assert list(rows) == [
        "Stripe events", "Rows of lists", "LMS jobs", "E-mails", "Notices of alerts",
    ]  # fmt: skip
    assert rows["LMS jobs"] == (
        f"1 due, the oldest since {late:%Y-%m-%d %H:%M} UTC; 2 waiting, 1 running, 1 dead; 1 done"
    )
    assert rows["Stripe events"] == "0 due; 0 waiting, 0 running, 0 dead; 0 done"


@pytest.mark.breaks_invariants
def test_commissions_are_computed_again_from_list_price_and_rate_and_wrong_ones_named(
    client: Client,
) -> None:
    """KPI 3, on the original price: 10 % of 199.95 is 19.995, half up 20.00."""
    affiliate = make_affiliate()
    sold = [
        sell(client, affiliate, make_course(slug=f"course-{number}", price=19_995))[0]
        for number in range(4)
    ]
    right, over, under, base = sold
    assert Commission.objects.get(enrollment_id=right.pk).amount == 2000
    Commission.objects.filter(enrollment_id=over.pk).update(amount=2001)
    Commission.objects.filter(enrollment_id=under.pk).update(amount=1999)
    # As if the discounted price had been taken: right by its own columns.
    Commission.objects.filter(enrollment_id=base.pk).update(base=10_000, amount=1000)
    section = make("commissions")
    assert section.rows == [
        ("KPI 3, commissions that are right", "25.0 % (1 of 4; aim 100 %)"),
        ("USD", "4 commissions, 3 wrong, 0 capped; earned $70.00, reversed $0.00"),
    ]
    named = "Enrollment {}: its commission is {}, and 10 % of $199.95 is $20.00."
    assert section.lines == [
        named.format(base.pk, "$10.00"),
        named.format(under.pk, "$19.99"),
        named.format(over.pk, "$20.01"),
    ]


@pytest.mark.breaks_invariants
def test_each_currency_is_summed_and_a_commission_without_a_sale_is_wrong(client: Client) -> None:
    affiliate = make_affiliate()
    sell(client, affiliate, make_course(slug="here", price=49_900))
    Commission.objects.create(
        enrollment_id="00000000-0000-7000-8000-000000000001",
        affiliate=affiliate,
        course_slug="c",
        base=5000,
        rate_basis_points=1000,
        amount=500,
        reversed=200,
        currency="jpy",
        available_at=timezone.now(),
    )
    section = make("commissions")
    assert section.rows[1:] == [
        ("JPY", "1 commissions, 1 wrong, 0 capped; earned ¥500, reversed ¥200"),
        ("USD", "1 commissions, 0 wrong, 0 capped; earned $49.90, reversed $0.00"),
    ]
    [line] = section.lines
    assert line == (
        "Enrollment 00000000-0000-7000-8000-000000000001: its commission is ¥500,"
        " and no referred sale is known."
    )
    before = Period("monthly", lately().since - timedelta(days=30), lately().since)
    assert make("commissions", before).rows == [
        ("KPI 3, commissions that are right", "– (0 of 0; aim 100 %)")
    ]


@pytest.mark.breaks_invariants
def test_what_is_capped_is_right_only_where_the_setting_caps_and_at_what_was_paid(
    client: Client, settings: Settings
) -> None:
    affiliate = make_affiliate()
    found = []
    for number, amount in enumerate((100, 101)):
        enrollment, _ = sell(client, affiliate, make_course(slug=f"course-{number}", price=49_900))
        Enrollment.objects.filter(pk=enrollment.pk).update(amount=100)
        Commission.objects.filter(enrollment_id=enrollment.pk).update(amount=amount)
        found.append(enrollment)
    period = lately()
    assert commission_accuracy.recompute(period.since, period.until).wrong == 2
    settings.COMMISSION_CAP = "amount_paid"
    section = make("commissions")
    assert section.rows[1][1].startswith("2 commissions, 1 wrong, 1 capped")
    [line] = section.lines
    assert str(found[1].pk) in line


@pytest.mark.breaks_invariants
def test_each_program_shows_its_budget_and_what_is_overdrawn_is_named() -> None:
    Program.objects.create(
        name="Fund", budget_amount=50_000, committed_amount=60_000, committed_grants=3
    )
    Program.objects.create(name="Open", currency="eur", committed_amount=100, committed_grants=1)
    Program.objects.create(name="Old", is_active=False)
    section = make("budgets")
    assert section.rows == [
        ("Fund", "budget $500.00; committed $600.00, 3 grants; left −$100.00"),
        ("Open", "budget no limit; committed €1.00, 1 grants; left no limit"),
    ]
    assert section.lines == ["Fund is overdrawn."]


@pytest.mark.breaks_invariants
def test_differences_from_stripe_and_the_lms_are_shown_with_their_problems() -> None:
    now = timezone.now()
    enrollment, _ = make_pending()
    Reconciliation.objects.create(
        kind="payments", since=now, looked_at=9, agreed=7, mended=1, unmended=1, problems=["pi_1"]
    )
    AccessDifference.objects.create(
        enrollment=enrollment, kind="missing", platform="frappe", course_id="c"
    )
    section = make("reconciliation")
    assert section.rows == [
        (
            "Stripe, payments",
            "9 looked at, 7 agreed, 1 mended, 1 cannot be mended; not to its end yet",
        ),
        ("Open on frappe, missing", "1"),
        ("New differences of access in the period", "1"),
    ]
    assert section.lines == ["payments: pi_1"]


@pytest.mark.breaks_invariants
def test_the_kpis_are_those_of_the_period_and_of_now(client: Client) -> None:
    for number, lms_status in enumerate(("success", "success", "failed")):
        enrollment, _ = sell(client, make_affiliate(), make_course(slug=f"course-{number}"))
        Enrollment.objects.filter(pk=enrollment.pk).update(lms_status=lms_status)
    make_pending(make_course(slug="unpaid"))
    rows = rows_of(make("kpis"))
    assert rows["KPI 1, paid enrollments with access"] == "66.7 % (2 of 3; aim 95 %)"
    assert rows["KPI 2, LMS jobs due now"] == "3 (aim: under 10)"
    assert rows["KPI 3, commissions that are right"] == "100.0 % (3 of 3; aim 100 %)"
    assert rows["KPI 4, requests over a limit"] == report_sections.NOT_COUNTED
    assert rows["KPI 5, repeats that were skipped"] == report_sections.NOT_COUNTED


def test_kpis_4_and_5_are_what_the_processes_of_this_machine_counted(
    settings: Settings, tmp_path: Path
) -> None:
    settings.METRICS_DIR = str(tmp_path)
    for process, number in enumerate((2.0, 3.0)):
        counted = MmapedDict(str(tmp_path / f"counter_{process}.db"))
        for name, label in (("limits_hit", "limit"), ("idempotency_skips", "what")):
            family = f"maaledu_{name}"
            key = mmap_key(family, f"{family}_total", [label], [label], "")
            counted.write_value(key, number if label == "limit" else 1.0, 0.0)
        counted.close()
    assert list(report_sections.counted()) == [
        ("KPI 4, requests over a limit", "5 on this machine, since its counters were made"),
        ("KPI 5, repeats that were skipped", "2 on this machine, since its counters were made"),
    ]


# --- cost -----------------------------------------------------------------------------------------
@pytest.mark.breaks_invariants
def test_a_report_costs_as_many_statements_for_many_rows_as_for_few(client: Client) -> None:
    kinds, affiliate = list(reports.SECTIONS), make_affiliate()

    def asked() -> list[int]:
        counts = []
        for kind in kinds:
            period = lately()
            with statements() as found:
                reports.make(Period(kind, period.since, period.until))
            counts.append(len(found))
        return counts

    def grow(numbers: range) -> None:
        for number in numbers:
            fail(number)
            enrollment, _ = sell(client, affiliate, make_course(slug=f"sold-{number}"))
            Commission.objects.filter(enrollment_id=enrollment.pk).update(amount=number)
            Program.objects.create(name=f"Fund {number}")

    grow(range(2))
    few = asked()
    grow(range(2, 12))
    assert asked() == few
    assert max(few) <= 40


# --- the command and the mail ---------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "headings"),
    [
        ("daily", ["Queues now, and what was done", "KPIs"]),
        (
            "weekly",
            [
                "Failed enrollments",
                "Queues now, and what was done",
                "Differences from Stripe and the learning platforms",
                "KPIs",
            ],
        ),
        (
            "monthly",
            [
                "Accuracy of commissions",
                "Grants against budgets",
                "Differences from Stripe and the learning platforms",
                "KPIs",
            ],
        ),
    ],
)
def test_the_command_shows_each_report_as_text_and_for_programs(
    kind: str, headings: list[str]
) -> None:
    report = json.loads(run("report", kind, "--json"))
    assert [section["heading"] for section in report["sections"]] == headings
    assert report["kind"] == kind
    text = run("report", kind)
    assert text.startswith(f"{report['title']} (UTC)\n")
    assert [line for line in text.splitlines() if line in headings] == headings
    assert "KPI 2, LMS jobs due now: 0 (aim: under 10)" in text


# --- the page -------------------------------------------------------------------------------------
@pytest.mark.breaks_invariants
def test_the_page_shows_each_report_and_those_of_periods_before(client: Client) -> None:
    client.force_login(make_staff(email="boss@example.com"))
    now = timezone.now()
    for kind in reports.SECTIONS:
        made = reports.make(reports.last_period(kind, now))
        page = client.get(PAGE, {"period": kind}).text
        assert f"{kind.capitalize()} report: {days_of(made.period)}" in page
        for section in made.sections:
            assert section.heading in page
            assert all(escape(label) in page for label, _ in section.rows)
        before = reports.last_period(kind, made.period.since)
        link = f"?period={kind}&amp;before={made.period.since:%Y-%m-%d}"
        assert f'href="{link}"' in page
        earlier = client.get(PAGE + unescape(link)).text
        assert days_of(before) in earlier
        assert "The latest" in earlier
        assert "The latest" not in page
    _, letter = fail(at=reports.last_period("weekly", now).since)
    assert str(letter.job.email) in client.get(PAGE, {"period": "weekly"}).text


@pytest.mark.parametrize(
    "query",
    [
        {"period": "hourly"},
        {"before": "2026-13-01"},
        {"before": "0001-01-01"},
        {"before": "9999-12-31"},
    ],
    ids=str,
)
def test_an_address_that_names_no_period_shows_yesterdays(client: Client, query) -> None:
    client.force_login(make_staff(email="boss@example.com"))
    answer = client.get(PAGE, query)
    yesterday = days_of(reports.last_period("daily", timezone.now()))
    assert (answer.status_code, f"Daily report: {yesterday}" in answer.text) == (200, True)
    assert client.post(PAGE).status_code == 405


def test_the_days_of_a_report_are_written_as_staff_write_them() -> None:
    week = reports.last_period("weekly", SUNDAY)
    assert days_of(week) == "Nov 16, 2026 to Nov 22, 2026"
    assert days_of(reports.last_period("daily", SUNDAY)) == "Nov 28, 2026"


def staged(at: datetime) -> list[str]:
    """Return which reports a round at this moment stages."""
    before = set(Email.objects.values_list("pk", flat=True))
    number = reports.mail_due(at)
    new = Email.objects.filter(kind="report").exclude(pk__in=before)
    assert new.count() == number
    return sorted(f"{mail.to} {mail.context['kind']}" for mail in new)


@pytest.mark.every_engine
def test_each_report_is_mailed_once_a_period_and_each_address_gets_it(
    settings: Settings,
) -> None:
    settings.REPORT_EMAILS = ["a@example.com"]
    assert staged(SUNDAY) == ["a@example.com daily"]
    assert staged(SUNDAY + timedelta(hours=2)) == []
    assert staged(MONDAY) == ["a@example.com daily", "a@example.com weekly"]
    settings.REPORT_EMAILS = ["a@example.com", f"{'b' * 60}@{'c' * 60}.example.com"]
    new = settings.REPORT_EMAILS[1]
    # The one that is new gets what has ended in the last three days, as after a missed night.
    assert staged(MONDAY + timedelta(hours=1)) == [f"{new} daily", f"{new} weekly"]
    assert staged(TUESDAY) == sorted(
        f"{to} {kind}" for to in settings.REPORT_EMAILS for kind in ("daily", "monthly")
    )
    settings.REPORT_EMAILS = ["late@example.com"]
    assert staged(TUESDAY + timedelta(days=8)) == [
        "late@example.com daily",
        "late@example.com weekly",
    ]


def test_without_an_address_no_report_is_made_and_the_night_mails_it_with_one(
    sandbox, settings: Settings
) -> None:
    assert settings.REPORT_EMAILS == []
    with statements() as asked:
        assert reports.mail_due() == 0
    assert asked == []
    settings.REPORT_EMAILS = ["boss@example.com"]
    assert " mails with reports\n" in run("nightly")
    call_command("nightly")
    mails = Email.objects.filter(kind="report")
    assert [mail.to for mail in mails if mail.context["kind"] == "daily"] == ["boss@example.com"]


def test_the_mail_says_what_the_command_says_and_escapes_it(settings: Settings) -> None:
    Program.objects.create(name="<b>Fund</b> & Co", budget_grants=5)
    settings.REPORT_EMAILS = ["boss@example.com"]
    report = reports.make(reports.last_period("monthly", timezone.now()))
    message = compose(Email(kind=reports.KIND, to="boss@example.com", context=report.as_json()))
    assert message.subject == f"[{settings.SITE_NAME}] {report.title}"
    assert report.as_text() in message.body
    html = message.alternatives[0].content
    assert "&lt;b&gt;Fund&lt;/b&gt; &amp; Co" in html
    assert "<b>Fund" not in html
    for section in report.sections:
        assert section.heading in html
