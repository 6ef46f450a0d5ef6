from html import unescape

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.test import Client

from accounts.models import User
from affiliates.errors import AccountIsClosed
from tests.accounts.conftest import PASSWORD, sign_in
from tests.affiliates.make import make_affiliate
from tests.concurrency import beside_save
from tests.statements import statements

pytestmark = pytest.mark.any_engine

LIST, ADD = "/admin/accounts/user/", "/admin/accounts/user/add/"


@pytest.fixture
def boss(db) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss@example.com", PASSWORD))
    return client


@pytest.fixture
def clerk(db) -> Client:
    """Staff who may look at and change people, and nothing else."""
    user = User.objects.create_user("clerk@example.com", PASSWORD, is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(
            codename__in=["view_user", "change_user", "add_user", "delete_user"]
        )
    )
    client = Client()
    client.force_login(user)
    return client


def change(user: User) -> str:
    return f"{LIST}{user.pk}/change/"


def form(user: User, **changes: str) -> dict[str, str]:
    return {"name": user.name, "is_active": "on", **changes}


def test_the_office_is_entered_through_the_sign_in_everybody_uses(visitor):
    assert visitor.get("/admin/")["Location"] == "/admin/login/?next=/admin/"
    assert (
        visitor.get("/admin/login/?next=/admin/")["Location"] == "/accounts/login/?next=%2Fadmin%2F"
    )


def test_the_offices_own_sign_in_takes_no_password(visitor):
    User.objects.create_superuser("boss@example.com", PASSWORD)
    answer = visitor.post("/admin/login/", {"username": "boss@example.com", "password": PASSWORD})
    assert answer.status_code == 302
    assert "_auth_user_id" not in visitor.session


def test_staff_reach_the_office_after_signing_in(visitor):
    User.objects.create_superuser("boss@example.com", PASSWORD)
    answer = sign_in(visitor, "boss@example.com", path="/accounts/login/?next=/admin/")
    assert answer["Location"] == "/admin/"
    assert visitor.get("/admin/").status_code == 200


@pytest.mark.parametrize("path", ["/admin/", LIST, ADD, "/admin/jsi18n/", "/admin/auth/group/"])
def test_a_learner_has_no_business_there(amina, visitor, path):
    visitor.force_login(amina)
    answer = visitor.get(path, follow=True)
    assert answer.status_code == 403
    assert b"FORBIDDEN" in answer.content


def test_people_are_found_by_address(boss, amina):
    User.objects.create_user("other@example.com", PASSWORD)
    page = boss.get(LIST, {"q": "amina@"}).content.decode()
    assert "amina@example.com" in page
    assert "other@example.com" not in page


def test_nobodys_password_is_shown(boss, amina):
    for path in (LIST, change(amina)):
        page = boss.get(path).content.decode()
        assert amina.password not in page
        assert "md5$" not in page
        assert "argon2$" not in page


def test_a_clerk_may_change_a_name_but_not_make_staff(clerk, amina):
    clerk.post(
        change(amina),
        form(
            amina,
            name="Amina H.",
            is_staff="on",
            is_superuser="on",
            groups="1",
            email="x@y.example",
        ),
    )
    amina.refresh_from_db()
    assert amina.name == "Amina H."
    assert (amina.is_staff, amina.is_superuser, amina.email) == (False, False, "amina@example.com")


def test_a_clerk_may_not_touch_staff(clerk, boss):
    for email in ("boss@example.com", "clerk@example.com"):
        user = User.objects.get(email=email)
        answer = clerk.post(change(user), {"name": "Mallory"})
        assert answer.status_code == 403
        user.refresh_from_db()
        assert (user.name, user.is_active) == ("", True)


@pytest.mark.every_engine
def test_the_rights_of_staff_are_shown_in_eight_statements_however_many_they_are(boss, clerk):
    colleague = User.objects.create_user("staff@example.com", PASSWORD, is_staff=True)
    given, _, other = [Group.objects.create(name=name) for name in ("support", "all", "finance")]
    colleague.groups.set([given, other])
    colleague.user_permissions.set(Permission.objects.order_by("pk")[:40])
    for client, shown in (
        (clerk, "finance, support"),
        (boss, f'<option value="{given.pk}" selected>support</option>'),
    ):
        client.get(LIST)  # what is asked for once in a process
        with statements() as asked:
            page = client.get(change(colleague)).content.decode()
        assert len(asked) <= 8, asked
        assert shown in page
        if client is clerk:
            assert str(Permission.objects.order_by("pk")[39]) in unescape(page)
    assert page.count(" selected>") == 42


@pytest.mark.every_engine
def test_the_rights_of_a_role_are_shown_in_eight_statements_to_who_may_only_look(clerk):
    role = Group.objects.create(name="all")
    role.permissions.set(Permission.objects.order_by("pk")[:40])
    User.objects.get().user_permissions.add(Permission.objects.get(codename="view_group"))
    clerk.get(LIST)  # what is asked for once in a process
    with statements() as asked:
        page = clerk.get(f"/admin/auth/group/{role.pk}/change/").content.decode()
    assert len(asked) <= 8 + 1, asked  # with the rights of the clerk, which are two
    assert str(Permission.objects.order_by("pk")[39]) in unescape(page)


def test_a_superuser_makes_staff(boss, amina):
    boss.post(change(amina), form(amina, is_staff="on"))
    amina.refresh_from_db()
    assert (amina.is_staff, amina.email) == (True, "amina@example.com")


def test_a_person_added_in_the_office_has_no_password_until_they_choose_one(boss):
    boss.post(ADD, {"email": "Added@Example.com", "name": "Added", "is_active": "on"})
    user = User.objects.get(email="added@example.com")
    assert not user.has_usable_password()
    assert not user.has_verified_email


def test_an_address_that_is_taken_cannot_be_added_twice(boss, amina):
    assert boss.post(ADD, {"email": "AMINA@example.com", "is_active": "on"}).status_code == 200
    assert User.objects.filter(email="amina@example.com").count() == 1


def test_nobody_is_deleted(boss, amina):
    assert boss.post(f"{LIST}{amina.pk}/delete/", {"post": "yes"}).status_code == 403
    boss.post(LIST, {"action": "delete_selected", "_selected_action": str(amina.pk), "post": "yes"})
    assert User.objects.filter(pk=amina.pk).exists()


@pytest.mark.every_engine
def test_nobody_is_declared_verified_by_hand(boss, amina):
    address = EmailAddress.objects.get(user=amina)
    EmailAddress.objects.update(verified=False)
    assert boss.get("/admin/account/emailaddress/").status_code == 200
    boss.post(
        "/admin/account/emailaddress/",
        {"action": "make_verified", "_selected_action": str(address.pk)},
    )
    assert (
        boss.post(
            f"/admin/account/emailaddress/{address.pk}/change/", {"verified": "on"}
        ).status_code
        == 403
    )
    assert not EmailAddress.objects.filter(verified=True, user=amina).exists()


def test_createsuperuser_makes_somebody_who_can_sign_in(visitor, monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", email="Boss@Example.com", interactive=False, verbosity=0)
    assert (
        sign_in(visitor, "boss@example.com", path="/accounts/login/?next=/admin/")["Location"]
        == "/admin/"
    )


def test_an_edit_leaves_a_password_that_its_owner_changes_meanwhile(boss, monkeypatch):
    user = User.objects.create_user("ada@example.com", PASSWORD)

    def owner() -> None:
        ada = User.objects.get(pk=user.pk)
        ada.set_password("another long passphrase")
        ada.save(update_fields=["password"])

    beside_save(monkeypatch, owner)
    editors = Group.objects.create(name="Editors")
    assert (
        boss.post(change(user), form(user, name="Ada", groups=str(editors.pk))).status_code == 302
    )
    user.refresh_from_db()
    assert (user.name, user.check_password("another long passphrase"), list(user.groups.all())) == (
        "Ada",
        True,
        [editors],
    )


@pytest.mark.every_engine
def test_an_affiliate_whose_account_is_closed_is_suspended(boss):
    """Fault S9."""
    affiliate, other = make_affiliate(), make_affiliate()
    boss.post(change(affiliate.user), {"name": "Ada", "is_active": "on"})
    affiliate.refresh_from_db()
    assert affiliate.status == "active"
    page = boss.post(change(affiliate.user), {"name": "Ada"}, follow=True)
    assert "It is suspended" in page.text
    affiliate.refresh_from_db()
    other.refresh_from_db()
    assert (affiliate.status, other.status) == ("suspended", "active")
    decide = f"/admin/affiliates/affiliate/{affiliate.pk}/reinstate/"
    assert AccountIsClosed.message in boss.post(decide, {"decide": "1"}).text
    affiliate.refresh_from_db()
    assert affiliate.status == "suspended"
