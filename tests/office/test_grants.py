"""What staff do with applications and coupons, and what staff without the permission cannot."""

import csv
import io
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.db.models import Model
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEntry, User
from affiliates import memberships
from affiliates.models import LedgerEntry
from courses.models import Course
from enrollments.models import Enrollment
from enrollments.provisioning import LMS_JOBS
from grants import applications, refusals
from grants.models import Grant, GrantEvent, Program, Refusal, RefusalCount
from maaledu.csv import safe_cell
from maaledu.money import Money
from maaledu.work.queue import drain
from notifications.models import Email
from office.cells import url_of
from operations import queues
from tests.affiliates.make import make_affiliate, sell
from tests.factories import make_course
from tests.grants.make import HOLDER, make_application, make_coupon, open_checkout
from tests.office.test_lists import act, member
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.any_engine

BOSS = "boss@example.com"
LIST = "/admin/grants/grant/"
APPROVAL = {"decide": "1", "percent": "50", "program": "", "note": "Welcome."}
REJECTION = {"decide": "1", "reason": "criteria", "note": "Sorry."}


@pytest.fixture
def staff(db: None) -> Client:
    User.objects.create_superuser(BOSS, "a long enough passphrase")
    client = Client()
    client.force_login(User.objects.get(email=BOSS))
    return client


def in_days(days: int) -> str:
    return str(timezone.now().date() + timedelta(days=days))


def approval(**changes: str) -> dict[str, str]:
    return {**APPROVAL, "expires_on": in_days(30), **changes}


def url(grant: Grant, decision: str) -> str:
    return f"{LIST}{grant.pk}/{decision}/"


def applicants(number: int, price: int = 49900) -> list[Grant]:
    course = make_course(price=price)
    return [make_application(course, email=f"applicant{n}@example.com") for n in range(number)]


def bulk(client: Client, decision: str, grants: list[Grant], **fields: str):
    rows = {"action": decision, "_selected_action": [str(grant.pk) for grant in grants]}
    return client.post(LIST, {**rows, **fields}, follow=True)


def test_the_queue_is_sorted_by_age_and_shows_the_days_left(staff: Client) -> None:
    young, old, late = applicants(3)
    today, now = timezone.now().date(), timezone.now()
    Grant.objects.filter(pk=old.pk).update(
        created_at=now - timedelta(days=9), answer_due_on=today + timedelta(days=1)
    )
    Grant.objects.filter(pk=late.pk).update(
        created_at=now - timedelta(days=20), answer_due_on=today - timedelta(days=3)
    )
    page = staff.get(LIST)
    assert [grant.pk for grant in page.context["cl"].result_list] == [late.pk, old.pk, young.pk]
    text = page.content.decode()
    assert text.index("3 days late") < text.index("1 days")


def test_a_coupon_leads_to_the_enrollment_that_holds_it(staff: Client) -> None:
    coupon = make_coupon()
    enrollment = open_checkout(coupon).enrollment
    page = staff.get(url(coupon, "change")).content.decode()
    assert re.search(rf'href="{url_of(enrollment)}">\s*View enrollment', page)


@pytest.mark.parametrize("decision", ["approve", "reject", "reissue", "extend", "revoke"])
def test_each_decision_is_shown_in_full_before_it_is_taken(staff: Client, decision: str) -> None:
    grant = make_application() if decision in ("approve", "reject") else make_coupon()
    before = Grant.objects.get().updated_at
    page = staff.get(url(grant, decision))
    assert page.status_code == 200
    for text in (HOLDER, "A situation.", "A motivation.", grant.course.title):
        assert text in page.content.decode()
    assert Grant.objects.get().updated_at == before
    assert LogEntry.objects.count() == 0


def test_a_grants_page_offers_what_may_be_decided_and_shows_its_money(staff: Client) -> None:
    def shown(grant: Grant) -> tuple[set[str], str]:
        text = staff.get(f"{LIST}{grant.pk}/change/").content.decode()
        return {
            decision
            for decision in ("approve", "reject", "reissue", "extend", "revoke")
            if f'href="{url(grant, decision)}"' in text
        }, text

    application, coupon = make_application(), make_coupon(make_course(price=119000), percent=50)
    verbs, text = shown(application)
    assert verbs == {"approve", "reject"}
    assert f"{application.name}, {application.email}" in text
    verbs, text = shown(coupon)
    assert verbs == {"reissue", "extend", "revoke"}
    assert "$1,190.00" in text
    assert "119000" not in text
    assert applications.revoke(coupon, by="staff@example.com")
    assert shown(coupon)[0] == set()


def test_approving_makes_a_coupon_mails_it_and_says_who_did_it(staff: Client) -> None:
    """Requirements R046, R047."""
    grant = make_application()
    assert staff.post(url(grant, "approve"), approval()).status_code == 302
    grant.refresh_from_db()
    assert (grant.status, grant.percent, grant.decided_by, grant.note) == (
        "approved",
        50,
        BOSS,
        "Welcome.",
    )
    assert grant.code == grant.code.upper()
    assert (str(grant.expires_at.date()), grant.expires_at.hour) == (in_days(30), 23)
    assert list(GrantEvent.objects.values_list("what", "actor")) == [
        ("applied", "applicant"),
        ("approved at 50 %", BOSS),
    ]
    assert (LogEntry.objects.get().object_id, LogEntry.objects.get().user.email) == (
        str(grant.pk),
        BOSS,
    )
    assert Email.objects.filter(kind="grant_approved", to=HOLDER).count() == 1


@pytest.mark.every_engine
def test_rejecting_gives_the_reason_and_the_note(staff: Client) -> None:
    grant = make_application()
    assert staff.post(url(grant, "reject"), REJECTION).status_code == 302
    grant.refresh_from_db()
    assert (grant.status, grant.reject_reason, grant.note, grant.code) == (
        "rejected",
        "criteria",
        "Sorry.",
        None,
    )
    page = Client().get(f"/grants/{grant.token}/").content.decode()
    assert "does not meet the criteria" in page
    assert "Sorry." in page
    assert GrantEvent.objects.filter(what="rejected: criteria", actor=BOSS).count() == 1


@pytest.mark.every_engine
def test_reissue_extend_and_revoke_change_an_unused_coupon(staff: Client) -> None:
    grant = make_coupon()
    old = grant.code
    assert staff.post(url(grant, "reissue"), {"decide": "1"}).status_code == 302
    assert (
        staff.post(url(grant, "extend"), {"decide": "1", "expires_on": in_days(90)}).status_code
        == 302
    )
    before = f"{grant.expires_at:%Y-%m-%d}"
    grant.refresh_from_db()
    assert grant.code != old
    assert str(grant.expires_at.date()) == in_days(90)
    said = AuditEntry.objects.filter(what__startswith="extended").get().what
    assert said == f"extended from {before} to {in_days(90)}"
    for mistyped in ("2925-01-01", in_days(0)):
        staff.post(url(grant, "extend"), {"decide": "1", "expires_on": mistyped})
    grant.refresh_from_db()
    assert str(grant.expires_at.date()) == in_days(90)
    assert staff.post(url(grant, "revoke"), {"reason": "Moved away"}).status_code == 302
    grant.refresh_from_db()
    assert grant.status == "revoked"
    assert GrantEvent.objects.filter(actor=BOSS).count() == 3
    assert LogEntry.objects.count() == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"percent": "9"},
        {"percent": "101"},
        {"percent": "33.3"},
        {"percent": ""},
        {"expires_on": "2020-01-01"},
        {"program": "nobody"},
    ],
    ids=str,
)
def test_a_decision_that_is_not_possible_is_shown_again_and_changes_nothing(
    staff: Client, wrong: dict
) -> None:
    grant = make_application()
    assert staff.post(url(grant, "approve"), approval(**wrong)).status_code == 200
    assert Grant.objects.get().status == "pending"
    assert LogEntry.objects.count() == 0


def test_a_second_decision_is_refused_with_a_sentence(staff: Client) -> None:
    grant = make_application()
    staff.post(url(grant, "approve"), approval())
    again = staff.post(url(grant, "reject"), REJECTION)
    assert "has been decided already" in again.content.decode()
    assert (Grant.objects.get().status, LogEntry.objects.count()) == ("approved", 1)


@pytest.mark.parametrize("decision", ["approve", "reject", "reissue", "extend", "revoke"])
@pytest.mark.parametrize(
    "row", ["nonsense", "x" * 500, "0", "..%2f..", "a/b", "00000000-0000-7000-8000-000000000000"]
)
def test_a_decision_about_no_grant_at_all_is_not_found(
    staff: Client, decision: str, row: str
) -> None:
    assert staff.get(f"{LIST}{row}/{decision}/").status_code == 404
    assert staff.post(f"{LIST}{row}/{decision}/", {**approval(), **REJECTION}).status_code == 404


@pytest.mark.parametrize(
    "page",
    [
        "enrollments/enrollment/{}/refund/",
        "payments/payment/{}/refund/",
        "affiliates/fraudsignal/{}/clear/",
    ],
)
@pytest.mark.parametrize("row", ["nonsense", "00000000-0000-7000-8000-000000000000"])
def test_the_other_pages_of_a_row_that_there_is_not_are_not_found_either(
    staff: Client, page: str, row: str
) -> None:
    assert staff.get(f"/admin/{page.format(row)}").status_code == 404
    assert (
        staff.post(f"/admin/{page.format(row)}", {"refund": "1", "decide": "1"}).status_code == 404
    )


@pytest.mark.parametrize("decision", ["approve", "reject", "reissue", "extend", "revoke"])
def test_staff_without_the_permission_get_403_and_change_nothing(db: None, decision: str) -> None:
    grant = make_application() if decision in ("approve", "reject") else make_coupon()
    client = member("view_grant")
    before = Grant.objects.values().get()
    form = {**approval(), **REJECTION}
    assert client.get(LIST).status_code == 200
    assert (
        client.get(url(grant, decision)).status_code,
        client.post(url(grant, decision), form).status_code,
    ) == (403, 403)
    bulk(client, decision, [grant], **form)
    assert Grant.objects.values().get() == before
    assert LogEntry.objects.count() == 0


def test_staff_with_the_permission_may_decide(db: None) -> None:
    grant = make_application()
    assert (
        member("view_grant", "decide_grant").post(url(grant, "approve"), approval()).status_code
        == 302
    )
    assert Grant.objects.get().status == "approved"


def test_a_decision_without_the_forms_token_is_refused(staff: Client) -> None:
    grant = make_application()
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(email=BOSS))
    assert strict.post(url(grant, "approve"), approval()).status_code == 403
    assert Grant.objects.get().status == "pending"


def test_an_outsider_is_sent_to_sign_in(db: None) -> None:
    grant = make_application()
    assert Client().post(url(grant, "approve"), approval()).status_code == 302
    assert Grant.objects.get().status == "pending"


@pytest.mark.every_engine
def test_many_are_approved_after_a_confirmation(staff: Client) -> None:
    grants = applicants(4)
    applications.reject(grants[0], by="other@example.com", reason="budget")
    asked = bulk(staff, "approve", grants)
    assert "4 applications" in asked.content.decode()
    assert Grant.objects.filter(status="pending").count() == 3
    done = bulk(staff, "approve", grants, **approval())
    assert "3 approved, 1 skipped." in done.content.decode()
    assert Grant.objects.filter(status="approved", decided_by=BOSS).count() == 3
    assert LogEntry.objects.count() == 3


def test_many_are_rejected_after_a_confirmation(staff: Client) -> None:
    grants = applicants(2)
    assert "2 rejected, 0 skipped." in bulk(staff, "reject", grants, **REJECTION).content.decode()
    assert set(Grant.objects.values_list("status", "reject_reason")) == {("rejected", "criteria")}
    assert Email.objects.filter(kind="grant_rejected").count() == 2


def test_a_bulk_approval_beyond_the_budget_is_refused_before_any_is_made(staff: Client) -> None:
    program = Program.objects.create(name="Fund", currency="usd", budget_amount=50_000)
    grants = applicants(4)
    applications.reject(grants[3], by="other@example.com", reason="budget")
    form = approval(program=str(program.pk))
    text = bulk(staff, "approve", grants, **form).content.decode()
    assert "Fund has $500.00 left: 2 of 3 fit. Not covered: Grace Holder." in text
    program.refresh_from_db()
    assert (program.committed_amount, Grant.objects.filter(status="approved").count()) == (0, 0)
    text = bulk(staff, "approve", [grants[0], *grants[2:]], **form).content.decode()
    assert "2 approved, 1 skipped." in text
    program.refresh_from_db()
    assert (program.committed_amount, program.committed_grants) == (49_900, 2)


@pytest.mark.every_engine
def test_a_budget_refusal_is_shown_and_changes_nothing(staff: Client) -> None:
    program = Program.objects.create(name="Fund", currency="usd", budget_amount=24_949)
    answer = staff.post(url(make_application(), "approve"), approval(program=str(program.pk)))
    assert "budget does not cover" in answer.content.decode()
    program.refresh_from_db()
    assert (program.committed_amount, program.committed_grants, Grant.objects.get().status) == (
        0,
        0,
        "pending",
    )
    assert (GrantEvent.objects.count(), LogEntry.objects.count(), Email.objects.count()) == (
        1,
        0,
        0,
    )


def test_two_presses_of_the_button_commit_the_budget_once(staff: Client) -> None:
    program = Program.objects.create(name="Fund", currency="usd", budget_grants=5)
    grant = make_application()
    for _ in range(2):
        staff.post(url(grant, "approve"), approval(program=str(program.pk)))
    program.refresh_from_db()
    assert program.committed_grants == 1
    assert Email.objects.filter(kind="grant_approved").count() == 1


@pytest.mark.parametrize(
    ("price", "percent", "shown"),
    [
        (49900, 50, ["$249.50"]),
        (49900, 95, ["$474.05", "$24.95", "commission would exceed what is paid by $24.95"]),
        (4900, 99, ["$49.00", "the enrollment will be free"]),
    ],
)
def test_the_preview_shows_the_cost_and_what_to_beware_of(
    staff: Client, price: int, percent: int, shown: list[str]
) -> None:
    (grant,) = applicants(1, price)
    asked = {
        name: value for name, value in approval(percent=str(percent)).items() if name != "decide"
    }
    page = staff.post(url(grant, "approve"), {**asked, "preview": "1"}).content.decode()
    assert [text for text in shown if text not in page] == []
    assert Grant.objects.get().status == "pending"


@pytest.mark.parametrize(
    ("rates", "cap", "percent", "loss"),
    [
        ([], "none", 95, "$24.95"),
        ([3000], "none", 80, "$49.90"),
        ([500, 3000, 1500], "none", 80, "$49.90"),
        ([3000], "none", 70, None),
        ([500], "none", 95, "$24.95"),
        ([3000], "none", 100, None),
        ([3000], "amount_paid", 80, None),
        ([], "amount_paid", 95, None),
    ],
    ids=str,
)
def test_the_loss_is_reckoned_at_the_highest_rate_that_a_sale_may_have(
    staff: Client, settings, rates: list[int], cap: str, percent: int, loss: str | None
) -> None:
    """An affiliate may have a rate above the usual one; a capped commission is no loss."""
    settings.COMMISSION_CAP = cap
    for rate in rates:
        make_affiliate(rate=rate)
    memberships.suspend(make_affiliate(rate=9000), by="staff@example.com", reason="fraud")
    page = staff.post(
        url(applicants(1)[0], "approve"), {"preview": "1", "percent": str(percent)}
    ).content.decode()
    assert ("commission would exceed what is paid by " in page) is (loss is not None)
    if loss:
        assert f"commission would exceed what is paid by {loss}." in page


def test_the_warning_is_what_the_sale_then_loses(staff: Client) -> None:
    """499.00 at 80 % with an affiliate of 30 %: 99.80 is paid, 149.70 owed."""
    course = make_course()
    page = staff.post(
        url(make_application(course), "approve"), {"preview": "1", "percent": "80"}
    ).content.decode()
    assert "commission would exceed" not in page
    affiliate = make_affiliate(rate=3000)
    page = staff.post(
        url(Grant.objects.get(), "approve"), {"preview": "1", "percent": "80"}
    ).content.decode()
    sale, _ = sell(Client(), affiliate, course, amount=9980, kind="partial_grant")
    assert f"by {Money(LedgerEntry.objects.get().amount - sale.amount, 'usd')}." in page


# --- whose budget pays ----------------------------------------------------------------------------
def test_an_approval_without_a_program_says_that_no_budget_is_charged(staff: Client) -> None:
    program = Program.objects.create(name="Fund", currency="usd", budget_amount=60_000)
    grant = make_application()
    page = staff.post(url(grant, "approve"), {"preview": "1", "percent": "50"})
    assert (
        "No budget is charged: without a program, nothing limits what is given away."
        in page.content.decode()
    )
    chosen = staff.post(
        url(grant, "approve"), {"preview": "1", "percent": "50", "program": str(program.pk)}
    ).content.decode()
    assert "Fund pays; it has left: $600.00." in chosen
    assert "No budget is charged:" not in chosen
    broken = staff.post(
        url(grant, "approve"), {"preview": "1", "percent": "50", "program": "nonsense"}
    )
    assert "No budget is charged:" in broken.content.decode()


def test_the_active_program_with_room_pays_where_nothing_else_is_chosen(staff: Client) -> None:
    for name, more in {
        "Autumn": {"is_active": False},
        "Bursary": {"budget_grants": 0},
        "Euro": {"currency": "eur"},
        "Fund": {},
        "Later": {},
    }.items():
        Program.objects.create(name=name, **{"currency": "usd", **more})
    fund, euro = Program.objects.get(name="Fund"), Program.objects.get(name="Euro")
    dollars = make_application(email="one@example.com")
    euros = make_application(make_course(currency="eur"), email="two@example.com")
    assert staff.get(url(dollars, "approve")).context["form"]["program"].value() == fund.pk
    assert staff.get(url(euros, "approve")).context["form"]["program"].value() == euro.pk
    both = act(staff, "grants/grant", "approve", dollars.pk, euros.pk)
    assert both.context["form"]["program"].value() is None


def test_the_queue_shows_which_program_pays_and_where_none_does(staff: Client) -> None:
    program = Program.objects.create(name="Spring fund", currency="usd")
    make_coupon(email="one@example.com", program=program)
    make_coupon(email="two@example.com")
    make_application(email="three@example.com")
    rows = re.findall(r"<tr.*?</tr>", staff.get(LIST).content.decode(), re.DOTALL)
    shown = [
        "Spring fund" if "Spring fund" in row else "None: no budget is charged" in row
        for row in rows
        if "Grace Holder" in row
    ]
    assert shown == ["Spring fund", True, False]


# --- refused codes --------------------------------------------------------------------------------
def try_code(email: str, code: str, course: Course) -> int:
    return (
        Client()
        .post(f"/checkout/{course.slug}/coupon/", {"email": email, "coupon": code})
        .status_code
    )


@pytest.mark.every_engine
def test_staff_see_the_true_reason_on_the_grants_page_and_in_the_list(staff: Client) -> None:
    grant = make_coupon()
    other = make_course()
    assert {
        try_code("thief@example.com", grant.code, grant.course),
        try_code(HOLDER, grant.code, other),
    } == {409}
    assert try_code(HOLDER, "MAAL-AAAA-BBBB-CCCC", grant.course) == 409
    Client().post(
        f"/checkout/{other.slug}/", {"email": HOLDER, "coupon": grant.code, "accept_terms": "on"}
    )
    api = {"courseId": other.slug, "email": HOLDER, "acceptTerms": True, "couponCode": grant.code}
    assert Client().post("/api/checkout", api, content_type="application/json").status_code == 409
    shown = ("reason", "grant_id", "tried_by", "course_slug")
    assert sorted(Refusal.objects.values_list(*shown), key=str) == sorted(
        [
            ("foreign", grant.pk, "t…@example.com", grant.course.slug),
            *[("other_course", grant.pk, "h…@example.com", other.slug)] * 3,
            ("unknown", None, "h…@example.com", grant.course.slug),
        ],
        key=str,
    )
    page = staff.get(f"{LIST}{grant.pk}/change/").content.decode()
    for text in ("foreign", "t…@example.com", "other course", other.slug):
        assert text in page
    assert "unknown" not in page.split("Refusals of its code")[-1]
    found = staff.get("/admin/grants/refusal/", {"q": HOLDER}).context["cl"].result_list
    assert {row.reason for row in found} == {"foreign", "other_course"}
    everything = staff.get("/admin/grants/refusal/").content.decode()
    for text in ("unknown", "h…@example.com"):
        assert text in everything
    assert "thief" not in everything


def test_a_race_that_is_lost_is_kept_with_its_grant(
    buyer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = make_coupon(percent=100)
    save_base = Model.save_base

    def slowly(row: Model, **options: Any) -> None:
        if isinstance(row, Enrollment):
            Grant.objects.filter(pk=grant.pk).update(expires_at=timezone.now())
        save_base(row, **options)

    monkeypatch.setattr(Model, "save_base", slowly)
    buyer.post(
        f"/checkout/{grant.course.slug}/",
        {"email": HOLDER, "coupon": grant.code, "accept_terms": "on"},
    )
    assert Refusal.objects.values_list("reason", "grant_id", "tried_by").get() == (
        "lost_race",
        grant.pk,
        "h…@example.com",
    )


def test_nobody_reads_refusals_without_the_permission_and_nobody_writes_them(db: None) -> None:
    grant = make_coupon()
    try_code("thief@example.com", grant.code, grant.course)
    client = member("view_grant")
    assert client.get("/admin/grants/refusal/").status_code == 403
    assert "t…@example.com" not in client.get(f"{LIST}{grant.pk}/change/").content.decode()
    row = Refusal.objects.get()
    boss = Client()
    boss.force_login(User.objects.create_superuser(BOSS, "a long enough passphrase"))
    assert boss.get(f"/admin/grants/refusal/{row.pk}/change/").status_code == 200
    for path in ("add/", f"{row.pk}/delete/"):
        assert boss.post(f"/admin/grants/refusal/{path}", {"post": "yes"}).status_code == 403
    assert (
        boss.post(f"/admin/grants/refusal/{row.pk}/change/", {"reason": "unknown"}).status_code
        == 403
    )
    assert Refusal.objects.get().reason == "foreign"


@pytest.mark.every_engine
def test_guessing_fills_no_table_and_pushes_no_other_refusal_out(settings) -> None:
    """Counts keep them all; of the rows the newest stay, apart from those of codes that exist."""
    settings.REFUSALS_MOST = 20
    grant, now = make_coupon(), timezone.now()
    known = [
        Refusal(
            reason="foreign",
            grant=grant,
            course_slug="c",
            tried_by="t…@example.com",
            created_at=now - timedelta(days=1),
        )
    ]
    guesses = [
        Refusal(
            reason="unknown",
            course_slug="c",
            tried_by="g…@x",
            created_at=now - timedelta(seconds=n),
        )
        for n in range(500)
    ]
    Refusal.objects.bulk_create([*known, *guesses])
    queues.run_chores()
    assert Refusal.objects.filter(reason="foreign").count() == 1
    left = Refusal.objects.filter(reason="unknown").order_by("created_at")
    assert (left.count(), left.first().pk) == (20, guesses[19].pk)
    assert refusals.forget_surplus() == 0


@pytest.mark.every_engine
def test_refusals_go_after_ninety_days(db: None) -> None:
    days = (89, 91)
    old = [
        Refusal(
            reason="foreign",
            course_slug="c",
            tried_by="g…@x",
            created_at=timezone.now() - timedelta(days=day),
        )
        for day in days
    ]
    Refusal.objects.bulk_create(old)
    call_command("clean_up")
    assert Refusal.objects.get().pk == old[0].pk


@pytest.mark.parametrize(
    ("email", "shown"),
    [
        ("grace@example.com", "g…@example.com"),
        ("é@bücher.example", "é…@bücher.example"),
        ("", "…@"),
        ("@x", "…@x"),
    ],
)
def test_an_address_is_kept_masked(email: str, shown: str) -> None:
    assert refusals.masked(email) == shown


def test_the_office_shows_who_used_a_coupon_when_and_for_which_enrollment(
    staff: Client, sandbox: Sandbox
) -> None:
    """Requirements R057, R209."""
    grant = make_coupon(percent=100)
    Client().post(
        f"/checkout/{grant.course.slug}/",
        {"email": HOLDER, "accept_terms": "on", "coupon": grant.code},
    )
    drain(LMS_JOBS)
    grant.refresh_from_db()
    enrollment = Enrollment.objects.get()
    assert (grant.status, grant.redeemed_by, grant.enrollment_id) == (
        "redeemed",
        HOLDER,
        enrollment.pk,
    )
    assert grant.reserved_at <= grant.redeemed_at
    assert (enrollment.lms_status, bool(enrollment.lms_enrollment_id)) == ("success", True)
    found = staff.get(LIST, {"q": str(enrollment.pk)}).context["cl"].result_list
    assert [row.pk for row in found] == [grant.pk]
    assert str(enrollment.pk) in staff.get(f"{LIST}{grant.pk}/change/").content.decode()


def test_a_free_enrollment_is_rolled_back_by_those_who_may_repair(
    staff: Client, sandbox: Sandbox
) -> None:
    grant = make_coupon(percent=100)
    Client().post(
        f"/checkout/{grant.course.slug}/",
        {"email": HOLDER, "accept_terms": "on", "coupon": grant.code},
    )
    sandbox.lms(courses_any=False, courses=[])
    drain(LMS_JOBS)
    sandbox.lms(courses_any=True)
    row = Enrollment.objects.get().pk
    page = f"/admin/enrollments/enrollment/{row}/roll_back/"
    assert member("view_enrollment").post(page, {"decide": "1"}).status_code == 403
    assert "its coupon can be used again" in staff.get(page).content.decode()
    assert Enrollment.objects.get().status == "paid"
    assert "Rolled back." in staff.post(page, {"decide": "1"}, follow=True).content.decode()
    grant.refresh_from_db()
    assert (Enrollment.objects.get().status, grant.status) == ("failed", "approved")
    assert LogEntry.objects.get().object_id == str(row)
    again = staff.post(page, {"decide": "1"}).content.decode()
    assert "somebody else may have decided already" in again


# --- export ---------------------------------------------------------------------------------------
CSV = f"{LIST}export.csv?status__exact=pending"


def exported(client: Client) -> list[list[str]]:
    text = b"".join(client.get(CSV).streaming_content).decode()
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))


@pytest.mark.parametrize(
    "name",
    ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\tTab", "  =HYPERLINK(1)", '=1,"2";3\n4'],
)
def test_the_export_runs_nothing_in_a_spreadsheet(staff: Client, name: str) -> None:
    grant = make_application()
    Grant.objects.filter(pk=grant.pk).update(name=name)
    make_coupon(email="other@example.com")
    header, row = exported(staff)
    cells = dict(zip(header, row, strict=True))
    assert (cells["Name"], cells["Course"]) == (f"'{name}", grant.course.slug)


def test_ordinary_cells_are_exported_as_they_are() -> None:
    assert [safe_cell(value) for value in ("Grace Holder", "a-b", "", None, 50)] == [
        "Grace Holder",
        "a-b",
        "",
        "",
        "50",
    ]


def test_the_export_takes_its_own_permission(db: None) -> None:
    make_application()
    looks = member("view_grant", "decide_grant")
    assert looks.get(CSV).status_code == 403
    assert "export.csv" not in looks.get(LIST).content.decode()
    User.objects.filter(email="clerk@example.com").delete()
    exports = member("view_grant", "export_grant")
    assert "export.csv?status__exact=pending" in (
        exports.get(LIST, {"status__exact": "pending"}).content.decode()
    )
    assert len(exported(exports)) == 2


# --- figures --------------------------------------------------------------------------------------
def test_the_figures_are_on_the_page_of_programs_and_on_the_command_line(
    staff: Client, capsys
) -> None:
    Program.objects.create(name="Fund", currency="usd", budget_amount=100_000, budget_grants=3)
    make_coupon(program=Program.objects.get())
    waiting = make_application(email="late@example.com")
    past = timezone.now() - timedelta(days=12)
    Grant.objects.filter(pk=waiting.pk).update(created_at=past, answer_due_on=past.date())
    refusals.count(RefusalCount.FOREIGN)
    refusals.count(RefusalCount.FOREIGN)
    call_command("grant_status")
    printed = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert (
        printed["applications open"],
        printed["age of the oldest"],
        printed["past their answer date"],
    ) == ("1", "12 days", "1")
    assert (printed["approved, unused"], printed["redeemed"], printed["left in Fund"]) == (
        "1",
        "0",
        "$750.50, 2 grants",
    )
    assert (printed["refused, foreign (30 days)"], printed["refused, unknown (30 days)"]) == (
        "2",
        "0",
    )
    page = staff.get("/admin/grants/program/").content.decode()
    for text in ("Applications open", "12 days", "Refused, foreign (30 days)", "$750.50, 2 grants"):
        assert text in page


def test_refusals_of_long_ago_are_not_in_the_figures(db: None) -> None:
    today = timezone.now().date()
    RefusalCount.objects.create(
        day=today - timedelta(days=40), reason=RefusalCount.UNKNOWN, count=7
    )
    refusals.count(RefusalCount.UNKNOWN)
    assert refusals.since(today - timedelta(days=30))[RefusalCount.UNKNOWN] == 1


def test_staff_are_alerted_of_late_applications_once_a_day(db: None, sandbox: Sandbox) -> None:
    late = make_application()
    Grant.objects.filter(pk=late.pk).update(answer_due_on=timezone.now().date() - timedelta(days=1))
    make_application(email="early@example.com")
    for _ in range(2):
        call_command("nightly")
    (alert,) = Email.objects.filter(
        kind="staff_alert", dedupe_key__startswith="alert:grant applications"
    )
    assert "1 problem" in alert.context["subject"]
    assert late.course.title in alert.context["lines"][0]
