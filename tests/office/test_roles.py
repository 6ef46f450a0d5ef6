"""Every page and decision of the office and every role that ships: who may open it, as one table.

A new page, decision or role without its place in the table fails the test.
"""

import re
import uuid
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.contrib.messages.storage.cookie import CookieStorage
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import Http404, HttpRequest
from django.test import Client, RequestFactory
from django.urls import URLPattern, get_resolver, resolve, reverse
from django.urls.exceptions import NoReverseMatch

from accounts import roles
from accounts.models import AuditEntry, User
from affiliates.models import Affiliate
from courses.models import Course
from enrollments.models import Enrollment
from grants.models import Grant
from office.cells import url_of
from payments.models import Payment
from tests.accounts.conftest import PASSWORD
from tests.factories import make_course
from tests.office.role_table import TABLE
from tests.office.test_home import one_of_each
from tests.office.test_learner_search import every_key

pytestmark = pytest.mark.any_engine

LETTERS = {
    roles.SUPPORT: "S",
    roles.GRANTS: "G",
    roles.FINANCE: "F",
    roles.CONTENT: "C",
    roles.OPERATOR: "O",
    roles.AUDITOR: "A",
}
NOBODYS = uuid.UUID(int=7)
ARGUMENTS: tuple[dict[str, Any], ...] = (
    {},
    {"object_id": str(NOBODYS)},
    {"key": NOBODYS},
    {"pk": NOBODYS, "kind": "receipt"},
    {"app_label": "courses"},
    {"email": "ann@example.com"},
    {"content_type_id": "0", "object_id": "0"},
)
# The table of a shop's staff itself: nobody who does not own it.
OWNERS = {"add_user", "reset_second_factor", "add_group", "change_group", "delete_group"}


@pytest.fixture
def staff(db: None) -> dict[str, User]:
    return staff_of_roles()


def staff_of_roles() -> dict[str, User]:
    roles.install()
    return {name: make_member(name) for name in roles.ROLES}


def make_member(role: str) -> User:
    user = User.objects.create_user(f"{role}@example.com", PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    return user


def as_request(path: str, user: User) -> HttpRequest:
    request = RequestFactory().get(path)
    request.user = user
    request.session = {}  # type: ignore[assignment]
    request.htmx = False  # type: ignore[attr-defined]
    request._messages = CookieStorage(request)  # type: ignore[attr-defined]
    return request


# --- what there is --------------------------------------------------------------------------------
def pages() -> Iterator[str]:
    """Yield the names of all pages under /admin/, `app_model_page`."""
    for pattern in _under_admin(get_resolver().url_patterns):
        if pattern.name:
            yield pattern.name


def _under_admin(patterns: list[Any], before: str = "") -> Iterator[URLPattern]:
    for pattern in patterns:
        path = f"{before}{pattern.pattern}"
        if hasattr(pattern, "url_patterns"):
            yield from _under_admin(pattern.url_patterns, path)
        elif path.startswith("admin/"):
            yield pattern


def actions() -> Iterator[tuple[str, Any, Any]]:
    """Yield the decisions that are taken in a list only: name, page and decision."""
    for model, page in admin.site._registry.items():
        for name, decision in getattr(page, "decisions", {}).items():
            if not decision.needs_confirmation:
                yield f"{model._meta.app_label}_{model._meta.model_name}!{name}", page, decision


def address_of(name: str) -> str:
    for arguments in ARGUMENTS:
        for namespace in ("admin:", ""):
            try:
                return reverse(f"{namespace}{name}", kwargs=arguments)
            except NoReverseMatch:
                continue
    raise AssertionError(f"{name} takes arguments that this test does not know")


def may_open(name: str, user: User) -> bool:
    path = address_of(name)
    found = resolve(path)
    request = as_request(path, user)
    if name.endswith("_history"):  # Django looks for the row first, and there is none
        return found.func.model_admin.has_view_or_change_permission(request)
    try:
        return found.func(request, *found.args, **found.kwargs).status_code != 403
    except PermissionDenied:
        return False
    except Http404:  # the permission was asked before the row
        return True


def found_by_walking(staff: dict[str, User]) -> dict[str, str]:
    found = {}
    for name in pages():
        found[name] = _letters(role for role, user in staff.items() if may_open(name, user))
    for name, page, decision in actions():
        asked = {role: as_request("/admin/", user) for role, user in staff.items()}
        found[name] = _letters(role for role in asked if page.may_decide(asked[role], decision))
    return found


def _letters(allowed: Iterator[str]) -> str:
    found = set(allowed)
    return "".join(letter if role in found else "." for role, letter in LETTERS.items())


# Permissions are the same on every engine; each page asks every engine in tests of its own.
@pytest.mark.engines("sqlite")
# --- the table ------------------------------------------------------------------------------------
def test_each_page_and_decision_is_open_to_the_roles_of_the_table_and_to_nobody_else(
    staff: dict[str, User],
) -> None:
    expected = dict(line.split()[:2] for line in TABLE.strip().splitlines())
    found = found_by_walking(staff)
    assert sorted(found.keys() ^ expected.keys()) == []
    wrong = {name: (found[name], expected[name]) for name in found if found[name] != expected[name]}
    assert wrong == {}, "found, and what the table says"


SEARCHED = ("address", "session", "event", "refund", "dispute", "coupon", "affiliate's code")


def links_of(answer: Any) -> set[str]:
    found = set(re.findall(r'href="(/admin/[^"?#]*)', answer.content.decode()))
    return {unescape(each) for each in found}


@pytest.mark.every_engine
@pytest.mark.breaks_invariants  # rows of every kind, without what they come from
def test_what_a_role_finds_and_is_shown_is_what_it_may_open(
    staff: dict[str, User], buyer: Client
) -> None:
    """The sidebar, what waits, the search, a learner's page, and the pages of rows.

    Each engine is asked as the auditor, who reads everything.
    """
    asked = staff if connection.vendor == "sqlite" else {roles.AUDITOR: staff[roles.AUDITOR]}
    keys, table = every_key(buyer), dict(line.split()[:2] for line in TABLE.strip().splitlines())
    one_of_each()
    rows = [url_of(model.objects.all()[0]) for model in (Enrollment, Payment, Grant, Affiliate)]
    typed = [keys[each] for each in SEARCHED]
    searches = [f"/admin/search/?extended=1&s={quote(each)}" for each in (*typed, "pay")]
    pages = ["/admin/", f"/admin/learners/{keys['address']}/", *rows, *searches]
    wrong, seen = set(), 0
    for role, user in asked.items():
        client = Client()
        client.force_login(user)
        for page in pages:
            answer = client.get(page)
            if answer.status_code == 403:
                continue
            for link in links_of(answer):
                name = resolve(link).url_name
                seen += 1
                if LETTERS[role] not in table[name]:
                    wrong.add((role, page, link))
    assert sorted(wrong) == []
    assert seen > 80 * len(asked)


def test_the_auditor_reads_every_list_and_changes_nothing() -> None:
    rows = dict(line.split()[:2] for line in TABLE.strip().splitlines())
    for name, letters in rows.items():
        if name.endswith(("_changelist", "_change", "_history")):
            assert letters.endswith("A"), name
        if name.endswith(("_add", "_delete")) or "!" in name:
            assert not letters.endswith("A"), name


@pytest.mark.every_engine
def test_the_auditors_permissions_are_to_look_and_no_other(staff: dict[str, User]) -> None:
    given = Permission.objects.filter(group__name=roles.AUDITOR)
    assert given.count() > 40
    assert [each.codename for each in given if not each.codename.startswith("view_")] == []


@pytest.mark.every_engine
def test_no_role_makes_staff_or_gives_rights(staff: dict[str, User]) -> None:
    assert not Permission.objects.filter(group__isnull=False, codename__in=OWNERS).exists()
    target = User.objects.create_user("amina@example.com", PASSWORD)
    path = f"/admin/accounts/user/{target.pk}/change/"
    for user in staff.values():
        client = Client()
        client.force_login(user)
        rights = {"name": "A", "is_active": "on", "is_staff": "on", "is_superuser": "on"}
        client.post(path, rights | {"groups": [str(each.pk) for each in Group.objects.all()]})
        target.refresh_from_db()
        assert (target.is_staff, target.is_superuser, target.groups.count()) == (False, False, 0)


@pytest.mark.every_engine
def test_installing_again_changes_nothing_and_keeps_what_was_given_besides(db: None) -> None:
    roles.install()
    content = Group.objects.get(name=roles.CONTENT)
    content.permissions.add(Permission.objects.get(codename="view_grant"))
    given = Permission.objects.filter(group__isnull=False).order_by("group__name", "pk")
    before = list(given.values_list("group__name", "codename"))
    roles.install()
    assert list(given.values_list("group__name", "codename")) == before
    assert Group.objects.count() == len(roles.ROLES)


def test_content_publishes_and_deletes_drafts_only(staff: dict[str, User]) -> None:
    client = Client()
    client.force_login(staff[roles.CONTENT])
    draft, sold = make_course(status=Course.Status.DRAFT), make_course()
    for course, answer in ((draft, 302), (sold, 403)):
        path = f"/admin/courses/course/{course.pk}/delete/"
        assert client.post(path, {"post": "yes"}).status_code == answer
    chosen = {"action": "archive", "_selected_action": [str(sold.pk)], "decide": "1"}
    assert client.post("/admin/courses/course/", chosen).status_code == 302
    sold.refresh_from_db()
    assert sold.status == Course.Status.ARCHIVED


def test_an_action_without_its_permission_is_refused_and_logged(staff: dict[str, User]) -> None:
    course = make_course()
    client = Client()
    client.force_login(staff[roles.AUDITOR])
    chosen = {"action": "archive", "_selected_action": [str(course.pk)]}
    for path, form in (
        ("/admin/courses/course/", chosen),
        (f"/admin/courses/course/{course.pk}/change/", {"title": "Mine"}),
        ("/admin/affiliates/payoutbatch/draft/", {}),
        ("/admin/stripe-check/", {}),
    ):
        assert client.post(path, form).status_code == 403, path
        entry = AuditEntry.objects.order_by("-created_at", "-id")[0]
        assert (entry.kind, entry.actor) == (AuditEntry.REFUSED, "auditor@example.com")
        assert entry.what == f"POST {path}"
    course.refresh_from_db()
    assert (course.status, course.title == "Mine") == (Course.Status.PUBLISHED, False)
