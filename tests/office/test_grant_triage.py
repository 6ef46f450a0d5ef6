"""Staff answer applications one by one or many at once, and see before what each answer costs."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts import roles
from accounts.models import AuditEntry
from affiliates.models import Affiliate
from courses.models import Course
from grants import applications
from grants.models import Grant, MessageTemplate, Program
from notifications.models import Email
from office import grant_queue
from office.grant_decisions import payer_of
from tests.affiliates.make import make_affiliate, make_staff
from tests.factories import make_course
from tests.grants.make import make_application
from tests.office.test_lists import member
from tests.office.test_roles import make_member
from tests.statements import statements

pytestmark = [pytest.mark.every_engine, pytest.mark.any_engine]

ONE, MANY = "/admin/grants/triage/", "/admin/grants/many/"
PRICE = 49_900
MOST_STATEMENTS = 8


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(make_staff(email="boss@example.com"))
    return client


def fund(name: str = "Fund", **fields: Any) -> Program:
    return Program.objects.create(name=name, **{"currency": "usd", **fields})


def applicants(number: int, **course: Any) -> list[Grant]:
    """Return applications, the oldest first, each of a name and an address of its own."""
    at, made = make_course(**{"price": PRICE, **course}), []
    for place in range(number):
        grant = make_application(at, email=f"{at.currency}{place}@example.com")
        changes = {
            "name": f"Ada {at.currency.upper()}{place}",
            "created_at": timezone.now() - timedelta(days=9, hours=-place),
        }
        Grant.objects.filter(pk=grant.pk).update(**changes)
        made.append(Grant.objects.get(pk=grant.pk))
    return made


def words(answer: Any) -> str:
    """Return what stands in the page beside the sidebar, without its tags."""
    text = answer.content.decode().partition('id="main"')[2].replace("&#x27;", "'")
    return re.sub(r" ([.,:;])", r"\1", " ".join(re.sub(r"<[^>]+>", " ", text).split()))


def address(path: str, program: Program | None, grant: Grant | None = None) -> str:
    asked = f"{path}?program={program.pk if program else 'none'}"
    return f"{asked}&grant={grant.pk}" if grant else asked


def in_days(days: int) -> str:
    return str(timezone.now().date() + timedelta(days=days))


def approve(client: Client, grant: Grant, program: Program | None, **form: str) -> Any:
    sent = {"decide": "approve", "expires_on": in_days(30), **form}
    return client.post(address(ONE, program, grant), sent, follow=True)


def many(client: Client, percents: dict[Grant, int], program: Program | None, **form: str) -> Any:
    chosen = {f"percent-{grant.pk}": str(percent) for grant, percent in percents.items()}
    sent = {"expires_on": in_days(30), **chosen, **form}
    return client.post(address(MANY, program), sent, follow=True)


def approved() -> dict[str, int | None]:
    return dict(Grant.objects.filter(status="approved").values_list("name", "percent"))


# --- one by one -----------------------------------------------------------------------------------
def test_an_application_is_read_with_what_each_percentage_costs_before_anything_is_pressed(
    staff: Client,
) -> None:
    """At 95 or 100 %, 90 % of an affiliate at 15 %: the loss is there without a button (U5)."""
    make_affiliate(rate=1500)
    program = fund(budget_amount=40_000, budget_grants=3)
    grant, _ = applicants(2)
    page = staff.get(ONE)
    costs = {cost.percent: cost for cost in page.context["costs"]}
    assert {percent: str(costs[percent].kept) for percent in (50, 80, 90, 100)} == {
        50: "$174.65",
        80: "$24.95",
        90: "−$24.95",
        100: "$0.00",
    }
    assert [percent for percent, cost in costs.items() if not cost.is_covered] == [90, 100]
    assert (costs[50].budget_after, costs[50].given_up.amount) == ("$150.50, 2 grants", 32_435)
    shown = words(page)
    for text in (
        "1 of 2",
        "A situation.",
        "A motivation.",
        "−$24.95 loss",
        "not covered",
        f"{program.name}: 2 waiting, $400.00, 3 grants left",
    ):
        assert text in shown, text
    assert grant.name in shown
    assert LogEntry.objects.count() == 0


@pytest.mark.every_engine
def test_decisions_lead_to_the_next_and_at_the_end_to_none(staff: Client) -> None:
    program = fund(budget_amount=100_000)
    first, second, third = applicants(3)
    page = approve(staff, second, program, percent="50")
    assert f"{second.name}: approved at 50 %." in words(page)
    assert page.context["desk"].grant == third
    rejection = {"decide": "reject", "reject-reason": "criteria", "reject-note": "Sorry, {name}."}
    page = staff.post(address(ONE, program, third), rejection, follow=True)
    assert page.context["desk"].grant == first
    page = approve(staff, first, program, other="33")
    assert "Nothing waits here" in words(page)
    assert approved() == {second.name: 50, first.name: 33}
    third.refresh_from_db()
    assert (third.reject_reason, third.note) == ("criteria", f"Sorry, {third.name}.")
    program.refresh_from_db()
    assert (program.committed_amount, program.committed_grants) == (24_950 + 16_467, 2)
    kinds = ("grant_approved", "grant_rejected")
    assert Email.objects.filter(kind__in=kinds).count() == LogEntry.objects.count() == 3
    assert AuditEntry.objects.filter(kind=AuditEntry.DECIDED).count() == 3


def test_what_cannot_be_approved_is_shown_again_and_changes_nothing(staff: Client) -> None:
    program, closed = fund(budget_amount=24_949), fund("Closed", is_active=False)
    (grant,) = applicants(1)
    long = {"percent": "10", "note": "{name} " * 60}
    for form, says in (
        ({}, "Choose a percentage."),
        ({"percent": "55"}, "Select a valid choice."),
        ({"other": "9"}, "greater than or equal to 10"),
        ({"percent": "10", "expires_on": "2020-01-01"}, "Choose a day in the future."),
        ({"percent": "10", "expires_on": "2206-01-01"}, "Choose a day within ten years."),
        ({"percent": "50"}, "The program's budget does not cover this grant."),
        (long, "characters: at most 500."),
    ):
        assert says in words(approve(staff, grant, program, **form)), form
    assert grant_queue.ANOTHER_PAYER in words(approve(staff, grant, closed, percent="10"))
    assert (approved(), LogEntry.objects.count()) == ({}, 0)


def test_a_percentage_whose_loss_was_not_shown_is_not_approved_before_it_was(
    staff: Client,
) -> None:
    grant, other = applicants(2)
    page = words(approve(staff, grant, None, other="95"))
    assert "Look at what 95 % costs, and approve again." in page
    assert "An affiliate's commission would exceed what is paid by $24.95." in page
    assert approved() == {}
    page = words(approve(staff, grant, None, other="95", shown="95"))
    assert "approved at 95 %" in page
    assert "approved at 95 %" in words(approve(staff, other, None, other="95", shown="95"))
    assert len(approved()) == 2


def test_what_follows_is_shown_without_deciding(staff: Client) -> None:
    program = fund(budget_amount=60_000, budget_grants=4)
    template = MessageTemplate.objects.create(
        name="Welcome", used_for="approval", text="Dear {name}, {percent} % of {course}."
    )
    (grant,) = applicants(1, title="Triage")
    sent = {"preview": "1", "percent": "90", "template": str(template.pk), "note": "By {expires}"}
    page = staff.post(address(ONE, program, grant), {**sent, "expires_on": "2030-05-04"})
    shown = words(page)
    assert "$600.00, 4 grants before, $150.90, 3 grants after" in shown
    assert "with an affiliate up to $499.00 of $499.00 are given up" in shown
    assert (
        page.context["message"]
        == f"Dear {grant.name}, 90 % of Triage.\n\nBy May 4, 2030, 23:59 UTC"
    )
    assert (approved(), LogEntry.objects.count()) == ({}, 0)


def test_one_that_a_colleague_has_answered_is_passed_over(staff: Client) -> None:
    program = fund()
    first, second = applicants(2)
    applications.reject(first, by="colleague@example.com", reason="budget")
    page = approve(staff, first, program, percent="50")
    assert "does not wait any more" in words(page)
    assert page.context["desk"].grant == second
    for asked in ("nonsense", str(first.pk), "00000000-0000-7000-8000-000000000000"):
        assert staff.get(ONE, {"grant": asked}).status_code == 302
    assert approved() == {}


def test_earlier_applications_of_the_address_are_there(staff: Client) -> None:
    earlier = make_application(make_course(title="Older"), email="usd0@example.com")
    applications.reject(earlier, by="colleague@example.com", reason="budget")
    (grant,) = applicants(1)
    page = staff.get(address(ONE, None, grant))
    assert page.context["desk"].earlier == [earlier]
    assert "rejected" in words(page).partition("Other applications from this address")[2]


# --- who pays -------------------------------------------------------------------------------------
@pytest.mark.every_engine
def test_the_program_that_can_pay_for_the_oldest_is_chosen_and_is_the_filter(
    staff: Client,
) -> None:
    full = fund("A used up one", budget_grants=0)
    fund("B closed", is_active=False)
    british, program = fund("C", currency="gbp"), fund("D")
    applicants(2, currency="gbp")
    Grant.objects.filter(currency="gbp").update(created_at=timezone.now())
    applicants(3)
    for asked, chosen, number in (
        ("", program, 3),
        (str(british.pk), british, 2),
        (str(full.pk), full, 3),
        ("none", None, 5),
        ("nonsense", program, 3),
    ):
        queue = staff.get(ONE, {"program": asked}).context["queue"]
        assert (queue.program, len(queue.rows)) == (chosen, number), asked
    assert [(each.number, each.is_chosen) for each in queue.choices] == [
        ("3", False),
        ("2", False),
        ("3", True),
        ("5", False),
    ]


# --- many at once ---------------------------------------------------------------------------------
def test_many_are_approved_each_at_its_own_percentage_once_the_sum_was_seen(
    staff: Client,
) -> None:
    program = fund(budget_amount=100_000, budget_grants=5)
    template = MessageTemplate.objects.create(
        name="Welcome", used_for="approval", text="{name}: {percent} %"
    )
    first, second, third = applicants(3)
    chosen, message = {third: 100, first: 25}, {"template": str(template.pk)}
    seen = "2 approvals, $623.75"
    for form in ({"preview": "1"}, {"decide": "1"}, {"decide": "1", "seen": "2 approvals, $1.00"}):
        page = many(staff, chosen, program, **form)
        assert f"{seen}. Fund: $1,000.00, 5 grants left, $376.25, 3 grants after" in words(page)
        assert approved() == {}
    assert "Press the button again" in words(page)
    done = many(staff, chosen, program, decide="1", seen=seen, **message)
    assert "2 approved, 0 skipped." in words(done)
    assert approved() == {third.name: 100, first.name: 25}
    assert Grant.objects.get(pk=first.pk).note == f"{first.name}: 25 %"
    program.refresh_from_db()
    assert (program.committed_amount, program.committed_grants) == (62_375, 2)
    assert LogEntry.objects.count() == 2
    assert [grant for grant, _ in done.context["form"].percents] == [second]


def test_more_than_the_budget_or_its_places_is_refused_before_with_what_fits(
    staff: Client,
) -> None:
    """22 approvals against 15 places were found out afterwards (U5)."""
    grants = applicants(22, price=10_000)
    fields = {"decide": "1", "seen": "22 approvals, $1,100.00"}
    for program, fits in (
        (fund("Places", budget_grants=15), 15),
        (fund("Money", budget_amount=52_500), 10),
    ):
        page = many(staff, dict.fromkeys(grants, 50), program, **fields)
        left = ", ".join(grant.name for grant in grants[fits : fits + 5])
        assert f"The budget covers {fits} of these. Not covered: {left} and" in words(page)
        assert "Nothing was approved." in words(page)
        assert approved() == {}
    page = many(staff, dict.fromkeys(grants, 50), program, fit="1")
    assert "10 approvals, $500.00. Money: $525.00 left, $25.00 after that." in words(page)
    page = many(staff, {grants[0]: 100, grants[1]: 100, grants[2]: 100}, program, preview="1")
    assert page.context["beyond"] == ""
    dear = {grants[n]: 100 for n in range(5)} | {grants[5]: 50, grants[6]: 25}
    page = many(staff, dear, program, preview="1")
    assert page.context["beyond"] == grants[5].name, "one that costs less fits after it"


def test_nothing_chosen_a_loss_and_one_that_is_answered_are_said(staff: Client) -> None:
    first, second = applicants(2)
    assert "for one application at least" in words(many(staff, {}, None, decide="1"))
    page = many(staff, {first: 95}, None, preview="1")
    assert page.context["warnings"] == [
        f"{first.name}, 95 %: An affiliate's commission would exceed what is paid by $24.95."
    ]
    applications.reject(first, by="colleague@example.com", reason="budget")
    chosen = {first: 50, second: 50}
    assert "1 approval, $249.50" in words(many(staff, chosen, None, decide="1", seen="old"))
    page = many(staff, chosen, None, decide="1", seen="1 approval, $249.50")
    assert "1 approved, 1 skipped." in words(page)
    assert "has been decided already" in words(page)
    assert approved() == {second.name: 50}


def test_without_a_program_the_sum_is_by_currency(staff: Client) -> None:
    (dollars,), (pounds,) = applicants(1), applicants(1, currency="gbp", price=10_000)
    page = many(staff, {dollars: 50, pounds: 50}, None, preview="1")
    assert "2 approvals, £50.00 + $249.50" in words(page)
    assert "No budget is charged" in words(page)
    assert "Who pays" not in page.content.decode()  # there is nothing to choose from
    fund()
    assert "Who pays" in staff.get(ONE).content.decode()


def test_another_programs_currency_approves_nothing(staff: Client) -> None:
    program = fund(currency="gbp")
    (grant,) = applicants(1)
    page = many(staff, {grant: 50}, program, decide="1", seen="1 approval, $249.50")
    assert "currency is not the course's" in words(page)
    assert approved() == {}
    Course.objects.update(currency="gbp")  # since they applied
    assert staff.get(address(MANY, program)).context["queue"].rows[0].currency == "gbp"
    assert payer_of([Grant.objects.get()]) == program


# --- who may, and at what price -------------------------------------------------------------------
def test_who_may_look_at_grants_and_not_decide_is_refused_and_it_is_logged(db: None) -> None:
    roles.install()
    (grant,) = applicants(1)
    for role in (roles.AUDITOR, roles.SUPPORT, roles.FINANCE, roles.CONTENT):
        client = Client()
        client.force_login(make_member(role))
        for path in (address(ONE, None, grant), address(MANY, None)):
            assert client.get(path).status_code == 403
            form = {"decide": "approve", "percent": "50", f"percent-{grant.pk}": "50"}
            assert client.post(path, form).status_code == 403
            entry = AuditEntry.objects.order_by("-created_at", "-id")[0]
            assert (entry.kind, entry.what) == (AuditEntry.REFUSED, f"POST {path}")
            assert entry.actor == f"{role}@example.com"
    assert approved() == {}


@pytest.mark.every_engine
def test_the_pages_are_read_in_eight_statements_at_most_however_many_wait(staff: Client) -> None:
    fund(budget_amount=1)
    clerk = member("view_grant", "decide_grant", "export_grant", "view_enrollment")
    MessageTemplate.objects.create(name="W", used_for="approval", text="Welcome.")
    costs = []
    for number in (2, 60):
        applicants(number, title=str(number))
        for client in (staff, clerk):
            for path in (ONE, MANY):
                staff.get("/admin/")  # what the sidebar counts is kept for half a minute
                with statements() as asked:
                    assert client.get(path).status_code == 200
                costs.append(len(asked))
    assert costs[:4] == costs[4:]
    assert max(costs) <= MOST_STATEMENTS, costs
    page = staff.get(MANY)
    assert len(page.context["form"].percents) == 50
    page = staff.get(page.context["later_url"])
    assert len(page.context["form"].percents) == 12
    assert staff.get(MANY, {"start": "9" * 9}).context["first"] == 1


def test_the_home_leads_who_decides_to_the_queue_and_others_to_the_list(staff: Client) -> None:
    applicants(1)
    for client, url in (
        (staff, ONE),
        (member("view_grant"), "/admin/grants/grant/?status__exact=pending"),
    ):
        cache.clear()
        waiting = client.get("/admin/").context["waiting"]
        assert [line["url"] for line in waiting if line["words"].endswith("to answer")] == [url]
    assert Affiliate.objects.count() == 0


# --- messages -------------------------------------------------------------------------------------
@pytest.mark.every_engine
def test_staff_keep_messages_whose_words_are_known_for_their_use(staff: Client) -> None:
    add = "/admin/grants/messagetemplate/add/"
    form = {"name": "Next time", "used_for": "rejection", "text": "{name}, {course}, {percent}"}
    assert "could be filled in for {percent}." in words(staff.post(add, form))
    assert not MessageTemplate.objects.exists()
    assert staff.post(add, {**form, "text": "{name}, {course}"}).status_code == 302
    template = MessageTemplate.objects.get()
    (grant,) = applicants(1, title="Triage")
    page = staff.get(ONE).content.decode()
    assert page.count(f'value="{template.pk}"') == 1, "of the two forms only the rejection's"
    answer = {"decide": "reject", "reject-reason": "other", "reject-template": str(template.pk)}
    staff.post(address(ONE, None, grant), answer)
    grant.refresh_from_db()
    assert (grant.status, grant.note) == ("rejected", f"{grant.name}, Triage")
