"""The change log: who did what, to what, from which value to which, and why; written once."""

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils.html import strip_tags

from accounts import audit
from accounts.audit import AUDIT
from accounts.errors import AuditLogIsAppendOnly
from accounts.models import AuditEntry, User
from courses.models import Course
from grants.models import Program
from tests.affiliates.make import make_affiliate
from tests.factories import make_course, make_pending
from tests.grants.make import make_coupon
from tests.office.typed import sent

pytestmark = pytest.mark.any_engine

LIST, BOSS = "/admin/accounts/auditentry/", "boss@example.com"


def edit(client: Client, row: Any, **changes: Any) -> None:
    """Post the form of a row's page as the browser sends it, with some fields changed."""
    path = f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/change/"
    shown = sent(client.get(path).context["adminform"].form)
    typed = {name: on_the_wire(value) for name, value in shown.items()}
    answer = client.post(path, {**typed, **changes})
    assert answer.status_code == 302, answer.context["adminform"].form.errors


def on_the_wire(value: Any) -> Any:
    return value.replace("\n", "\r\n") if isinstance(value, str) else value


def last() -> AuditEntry:
    return AuditEntry.objects.order_by("-created_at", "-id")[0]


# --- what is written ------------------------------------------------------------------------------
def test_a_changed_price_is_there_with_old_and_new_and_what_did_not_change_is_not(office) -> None:
    """Fault U3: outcomes and syllabus have several lines, which a browser ends otherwise."""
    course = make_course(title="Data", outcomes=["One", "Two"], description="One\n\nTwo")
    edit(office, course, price="549.50")
    entry = last()
    assert (entry.actor, entry.kind, entry.row_name) == (BOSS, AuditEntry.CHANGED, "Data")
    assert entry.changes == [["Price", "499.00 USD", "549.50 USD"]]
    history = LogEntry.objects.get().get_change_message()
    assert history == "Changed Price: 499.00 USD → 549.50 USD."
    edit(office, course, currency="eur", title="Other")
    page = office.get(f"/admin/courses/course/{course.pk}/change/").content.decode()
    rows = re.findall(r"<tr><td><time.*?</tr>", page, re.DOTALL)
    shown = [" ".join(strip_tags(row.replace("<td>", " ")).split()) for row in rows]
    assert [each.partition("UTC ")[2] for each in shown] == [
        f"549.50 USD 549.50 EUR {BOSS}",
        f"499.00 USD 549.50 USD {BOSS}",
    ]


def test_a_course_that_is_saved_as_it_was_has_no_change(office) -> None:
    edit(office, make_course(description="One\nTwo"))
    assert (last().what, last().changes) == ("saved", [])
    assert LogEntry.objects.get().get_change_message() == "No fields changed."


def test_each_changed_field_has_its_values_in_words(office) -> None:
    course = make_course(title="Old", level="beginner")
    edit(office, course, title="New", level="advanced")
    assert sorted(last().changes) == [["Level", "Beginner", "Advanced"], ["Title", "Old", "New"]]
    program = Program.objects.create(name="Fund", currency="usd", budget_amount=50000)
    edit(office, program, budget_amount="750.00", is_active="")
    assert sorted(last().changes) == [
        ["Budget", "500.00 USD", "750.00 USD"],
        ["Is active", "yes", "no"],
    ]


@pytest.mark.every_engine
def test_roles_that_are_given_and_taken_are_there_by_name(office) -> None:
    before, after = (Group.objects.create(name=name) for name in ("grants", "finance"))
    user = User.objects.create_user("ann@example.com", is_staff=True)
    user.groups.add(before)
    edit(office, user, groups=[str(after.pk)])
    entry = last()
    assert (entry.kind, entry.row_name) == (AuditEntry.ROLES, "ann@example.com")
    assert entry.changes == [["Groups", "grants", "finance"]]
    permission = Permission.objects.get(codename="view_course")
    edit(office, after, permissions=[str(permission.pk)])
    assert (last().kind, last().changes[0][1]) == (AuditEntry.ROLES, "")
    assert "Can view course" in last().changes[0][2]


def test_what_is_added_and_deleted_is_there(office) -> None:
    office.post("/admin/auth/group/add/", {"name": "editors"})
    assert (last().kind, last().row_name) == (AuditEntry.ADDED, "editors")
    group = Group.objects.get()
    office.post(f"/admin/auth/group/{group.pk}/delete/", {"post": "yes"})
    assert (last().kind, last().row_name) == (AuditEntry.DELETED, "editors")


def test_a_decision_is_there_with_its_reason(office) -> None:
    affiliate = make_affiliate()
    page = f"/admin/affiliates/affiliate/{affiliate.pk}/suspend/"
    office.post(page, {"decide": "1", "reason": "Ads with our name"})
    entry = last()
    assert (entry.actor, entry.kind, entry.reason) == (BOSS, "decided", "Ads with our name")
    assert (entry.model, entry.row_id) == ("affiliates.affiliate", str(affiliate.pk))


def test_a_corrected_name_is_there_with_the_one_before(office) -> None:
    enrollment, _ = make_pending(name="Ada Lovelase")
    page = f"/admin/enrollments/enrollment/{enrollment.pk}/correct_name/"
    office.post(page, {"decide": "1", "name": "Ada Lovelace"})
    assert last().what == "name corrected from “Ada Lovelase” to “Ada Lovelace”"


@pytest.mark.every_engine
def test_a_download_is_there(office) -> None:
    make_coupon()
    path = "/admin/grants/grant/export.csv?status__exact=approved"
    b"".join(office.get(path).streaming_content)
    assert (last().kind, last().actor) == (AuditEntry.EXPORTED, BOSS)
    assert last().what == f"GET {path}"


@pytest.mark.every_engine
def test_long_values_and_names_are_cut_and_nothing_is_lost(db: None) -> None:
    course = make_course(title="T" * 140)
    audit.record_changes(course, [("Description", "a" * 9000, "b")], by="b" * 200)
    audit.record(AuditEntry.DECIDED, "w" * 900, by=BOSS, about=course, why="y" * 3000)
    first, second = AuditEntry.objects.order_by("created_at", "id")
    assert (len(first.changes[0][1]), len(first.actor)) == (audit.LONGEST_VALUE + 1, 140)
    assert (len(second.what), len(second.reason)) == (300, 3000)


# --- written once ---------------------------------------------------------------------------------
def one() -> AuditEntry:
    audit.record(AuditEntry.DECIDED, "closed", by=BOSS)
    return AuditEntry.objects.get()


def test_the_model_refuses_changes_and_deletion(db: None) -> None:
    entry = one()
    for act in (
        lambda: entry.save(),
        lambda: entry.delete(),
        lambda: AuditEntry.objects.update(what="else"),
        lambda: AuditEntry.objects.all().delete(),
        lambda: AuditEntry.objects.bulk_update([entry], ["what"]),
    ):
        with pytest.raises(AuditLogIsAppendOnly):
            act()
    assert AuditEntry.objects.get().what == "closed"


@pytest.mark.engines("sqlite", "postgres")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {table} SET what = 'else'",
        "DELETE FROM {table}",
        "INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
        "TRUNCATE {table}",
    ],
)
def test_the_database_refuses_them_too(db: None, statement: str) -> None:
    one()
    with (
        pytest.raises(DatabaseError),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement.format(table=AUDIT.table))
    assert AuditEntry.objects.get().what == "closed"


@pytest.mark.every_engine
def test_the_office_offers_neither(office) -> None:
    entry = one()
    for path in (f"{LIST}add/", f"{LIST}{entry.pk}/delete/"):
        assert office.post(path, {"post": "yes"}).status_code == 403
    assert office.post(f"{LIST}{entry.pk}/change/", {"what": "else"}).status_code == 403
    assert AuditEntry.objects.filter(what="closed").count() == 1


# --- finding --------------------------------------------------------------------------------------
@pytest.mark.every_engine
def test_who_changed_what_is_found_by_person_row_kind_and_list(office) -> None:
    course, other = make_course(title="Data"), make_course(title="Art")
    edit(office, course, price="1.00")
    edit(office, other, title="Painting")
    audit.record(AuditEntry.REFUSED, "POST /admin/x/", by="ann@example.com")
    searches = {
        "": 3,
        "q=Boss@example.com": 2,
        "q=ann@example.com": 1,
        f"q={course.pk}": 1,
        f"q={str(course.pk).replace('-', '')}": 1,
        "q=nobody": 0,
        "kind__exact=refused": 1,
        "of=courses.course": 2,
        "since=7": 3,
        "since=x": 3,
        f"kind__exact=changed&of=courses.course&since=1&q={other.pk}": 1,
    }
    found = {query: len(rows(office, query)) for query in searches}
    assert found == searches
    page = strip_tags(office.get(LIST).content.decode())
    for words in ("Price: 499.00 USD → 1.00 USD", "Title: Art → Painting", "course Data", BOSS):
        assert words in page
    entry = AuditEntry.objects.get(row_id=course.pk)
    assert "1.00 USD" in office.get(f"{LIST}{entry.pk}/change/").content.decode()


def rows(client: Client, query: str) -> list[AuditEntry]:
    return list(client.get(f"{LIST}?{query}").context["cl"].result_list)


def test_what_somebody_typed_is_no_markup_in_the_list(office) -> None:
    edit(office, make_course(title="<script>alert(1)</script>"), title="<b>Bold</b>")
    page = office.get(LIST).content.decode()
    assert "<script>alert(1)" not in page
    assert "<b>Bold" not in page


def test_a_row_that_is_gone_or_of_another_release_is_named(office) -> None:
    AuditEntry.objects.create(
        actor=BOSS,
        kind="changed",
        what="saved",
        model="gone.thing",
        row_id="1",
        row_name="The old thing",
    )
    assert "The old thing" in office.get(LIST).content.decode()


@pytest.mark.every_engine
def test_the_list_costs_the_same_with_more_entries(office, django_assert_max_num_queries) -> None:
    for number in range(60):
        audit.record(AuditEntry.DECIDED, f"act {number}", by=BOSS)
    office.get(LIST)
    with django_assert_max_num_queries(8):
        assert len(rows(office, "")) == 50


@pytest.mark.every_engine
def test_the_page_of_a_person_and_of_a_group_cost_a_few_statements(
    office, django_assert_max_num_queries
) -> None:
    """Faults U8, G10: they asked for the table of each permission."""
    user, group = User.objects.get(email=BOSS), Group.objects.create(name="all")
    group.permissions.set(Permission.objects.all())
    user.user_permissions.set(Permission.objects.all())
    with django_assert_max_num_queries(12):
        assert office.get(f"/admin/accounts/user/{user.pk}/change/").status_code == 200
    with django_assert_max_num_queries(8):
        assert office.get(f"/admin/auth/group/{group.pk}/change/").status_code == 200


def test_a_draft_that_staff_delete_is_in_the_log_with_its_name(office) -> None:
    draft = make_course(title="Never sold", status=Course.Status.DRAFT)
    office.post(f"/admin/courses/course/{draft.pk}/delete/", {"post": "yes"})
    assert (last().kind, last().row_name) == (AuditEntry.DELETED, "Never sold")
