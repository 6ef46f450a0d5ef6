"""Django's own parts and allauth's tables work on every engine: sign-in, sessions, messages, the
admin and its log.
"""

import pytest
from allauth.account.models import EmailAddress
from django.contrib import admin
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.db import IntegrityError
from django.urls import reverse

from accounts.models import User
from lms_sync.models import SyncJob
from tests.factories import make_pending

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery staple"


@pytest.fixture
def boss() -> User:
    return User.objects.create_superuser("boss@example.com", PASSWORD)


@pytest.fixture
def office(client, boss):
    client.force_login(boss)
    return client


def log() -> list[tuple[int, str]]:
    return list(LogEntry.objects.order_by("action_time").values_list("action_flag", "object_repr"))


@pytest.mark.any_engine
def test_staff_signs_in_and_out_with_a_stored_session(client, boss):
    assert (
        client.get("/admin/", follow=True)
        .redirect_chain[-1][0]
        .startswith(reverse("account_login"))
    )
    page = client.post(
        f"{reverse('account_login')}?next=/admin/",
        {"login": boss.email, "password": PASSWORD},
        follow=True,
    )
    assert page.redirect_chain[-1][0] == "/admin/"
    assert page.status_code == 200
    assert page.wsgi_request.user == boss
    assert Session.objects.count() == 1
    boss.refresh_from_db()
    assert boss.last_login is not None
    client.post(reverse("admin:logout"))
    assert client.get("/admin/").status_code == 302


def test_the_index_and_every_list_of_the_admin_open(office):
    assert office.get("/admin/").status_code == 200
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        assert office.get(reverse(name)).status_code == 200, name
        assert office.get(reverse(name), {"q": "ann@example.com"}).status_code == 200, name


def test_a_row_is_found_by_its_whole_id_and_by_the_beginning_of_its_address(office):
    enrollment, payment = make_pending()
    make_pending()
    SyncJob.objects.create(
        dedupe_key=f"enroll:{enrollment.pk}",
        action="enroll",
        platform="frappe",
        email=enrollment.email,
        course_id="c",
        payload={"x": 1},
    )
    searches = [
        ("enrollments_enrollment", str(enrollment.pk)),
        ("enrollments_enrollment", enrollment.email[:-5].upper()),
        ("enrollments_enrollment", payment.stripe_session_id),
        ("payments_payment", str(enrollment.pk)),
        ("payments_payment", str(payment.pk)),
        ("payments_payment", payment.stripe_session_id),
        ("lms_sync_syncjob", str(enrollment.pk)),
        ("lms_sync_syncjob", enrollment.email),
    ]
    for name, text in searches:
        page = office.get(reverse(f"admin:{name}_changelist"), {"q": text})
        assert (page.status_code, len(page.context["cl"].result_list)) == (200, 1), (name, text)


def test_people_and_groups_are_added_changed_and_deleted_with_a_log_entry_each(office):
    page = office.post(
        reverse("admin:accounts_user_add"),
        {"email": "Ann@Example.com", "name": "", "is_active": "on"},
        follow=True,
    )
    ann = User.objects.get(email="ann@example.com")
    assert not ann.has_usable_password()
    assert "was added successfully" in page.content.decode()

    change = reverse("admin:accounts_user_change", args=[ann.pk])
    assert office.get(change).status_code == 200
    group = Group.objects.create(name="staff")
    fields = {
        "email": ann.email,
        "name": "Ann",
        "is_active": "on",
        "is_staff": "on",
        "groups": [str(group.pk)],
    }
    page = office.post(change, {**fields, "_save": "Save"}, follow=True)
    assert "was changed successfully" in page.content.decode(), page.content.decode()[:5000]
    ann.refresh_from_db()
    assert (ann.name, ann.is_staff, list(ann.groups.all())) == ("Ann", True, [group])

    office.post(reverse("admin:auth_group_delete", args=[group.pk]), {"post": "yes"})
    assert not Group.objects.exists()
    assert log() == [
        (ADDITION, "ann@example.com"),
        (CHANGE, "ann@example.com"),
        (DELETION, "staff"),
    ]


@pytest.mark.any_engine
def test_permissions_exist_for_every_model_and_are_given_through_groups(client):
    permission = Permission.objects.get(content_type__app_label="accounts", codename="view_user")
    group = Group.objects.create(name="readers")
    group.permissions.add(permission)
    reader = User.objects.create_user("reader@example.com", PASSWORD, is_staff=True)
    reader.groups.add(group)
    reader = User.objects.get(pk=reader.pk)
    assert reader.has_perm("accounts.view_user")
    assert not reader.has_perm("accounts.change_user")
    client.force_login(reader)
    assert client.get(reverse("admin:accounts_user_changelist")).status_code == 200
    assert client.get(reverse("admin:accounts_user_add")).status_code == 403


def test_an_address_is_verified_for_one_account_only():
    """allauth's partial unique constraints hold on every engine."""
    ann = User.objects.create_user("ann@example.com", PASSWORD)
    bob = User.objects.create_user("bob@example.com", PASSWORD)
    EmailAddress.objects.create(user=ann, email="ann@example.com", verified=True, primary=True)
    EmailAddress.objects.create(user=bob, email="ann@example.com", verified=False)
    with pytest.raises(IntegrityError):
        EmailAddress.objects.create(user=ann, email="second@example.com", primary=True)
    with pytest.raises(IntegrityError):
        EmailAddress.objects.filter(user=bob).update(verified=True)


def test_a_session_survives_its_round_trip(client):
    session = client.session
    session["enrollment"] = {"token": "abc", "count": 3}
    session.save()
    assert client.session["enrollment"] == {"token": "abc", "count": 3}
    Session.objects.all().delete()
    assert "enrollment" not in type(session)(session.session_key)
