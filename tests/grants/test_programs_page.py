"""What applicants read of the programs, and how they withdraw (issue: grants)."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from grants import applications
from grants.errors import AlreadyDecided
from grants.models import Grant, GrantEvent, Program
from notifications.models import Email
from notifications.outgoing import compose
from tests.grants.make import HOLDER, make_application, make_coupon

pytestmark = pytest.mark.django_db


def announce(name: str, **fields) -> Program:
    given = {"for_whom": f"For {name}.", "budget_grants": 5, **fields}
    return Program.objects.create(name=name, **given)


@pytest.mark.breaks_invariants
def test_the_page_says_for_whom_how_many_until_when_and_how(client: Client) -> None:
    today = timezone.now().date()
    announce("nurses", closes_on=today, committed_grants=2, decided_how="Two people read it.")
    announce("closed", closes_on=today - timedelta(days=1))
    announce("inactive", is_active=False)
    announce("full", committed_grants=5)
    announce("spent", budget_grants=None, budget_amount=100, committed_amount=100)
    announce("internal", for_whom="")
    announce("open-ended", budget_grants=None)
    page = client.get("/grants/").content.decode()
    for text in ("For nurses.", "3 of 5 left", "Two people read it.", "As many as the fund allows"):
        assert text in page, text
    for name in ("closed", "inactive", "full", "spent", "internal"):
        assert f">{name}</h3>" not in page, name


@pytest.mark.any_engine
def test_without_a_program_the_page_says_how_to_apply(client: Client) -> None:
    page = client.get("/grants/").content.decode()
    assert "No program is announced at present" in page
    assert 'href="/grants/"' in client.get("/about/").content.decode()


@pytest.mark.any_engine
def test_the_form_says_how_much_may_be_written(client: Client) -> None:
    grant = make_application()
    page = client.get(f"/grants/apply/{grant.course.slug}/").content.decode()
    assert page.count("At most 4,000 characters.") + page.count("At most 4000 characters.") == 2
    assert page.count('data-most="4000"') == 2


def test_an_applicant_withdraws_and_what_they_wrote_is_gone(client: Client) -> None:
    grant = make_application()
    page = f"/grants/{grant.token}/"
    assert f'href="{page}withdraw/"' in client.get(page).content.decode()
    assert client.get(f"{page}withdraw/").status_code == 200
    grant.refresh_from_db()
    assert grant.status == Grant.PENDING, "a link alone changes nothing"
    assert client.post(f"{page}withdraw/").status_code == 302
    grant.refresh_from_db()
    assert (grant.status, grant.situation, grant.motivation) == ("withdrawn", "", "")
    assert GrantEvent.objects.filter(grant=grant, what="withdrawn", actor="applicant").count() == 1
    mail = compose(Email.objects.get(kind="grant_withdrawn"))
    assert mail.to == [HOLDER]
    assert "has been deleted" in mail.body
    assert "You withdrew this application" in client.get(page).content.decode()
    # Again: nothing changes, and a new application is open to them.
    assert client.post(f"{page}withdraw/").status_code == 302
    assert Email.objects.filter(kind="grant_withdrawn").count() == 1
    assert make_application(grant.course).status == Grant.PENDING


@pytest.mark.any_engine
def test_what_is_decided_is_not_withdrawn(client: Client) -> None:
    grant = make_coupon()
    with pytest.raises(AlreadyDecided):
        applications.withdraw(grant)
    assert client.get(f"/grants/{grant.token}/withdraw/").status_code == 302
    client.post(f"/grants/{grant.token}/withdraw/")
    grant.refresh_from_db()
    assert (grant.status, grant.situation) == ("approved", "A situation.")
    assert client.get("/grants/unknown/withdraw/").status_code == 404
