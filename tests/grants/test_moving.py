"""An application or a coupon whose applicant has mistyped the address (fault E2)."""

import pytest
from django.test import Client

from accounts.models import AuditEntry, User
from grants import applications, moving
from grants.errors import AlreadyDecided, ApplicationOpen
from grants.models import Grant, GrantEvent
from notifications.models import Email
from notifications.outgoing import compose
from tests.grants.make import STAFF, make_application, make_coupon

pytestmark = pytest.mark.django_db
RIGHT, REASON = "grace@example.com", "Mistyped, she called."


def test_a_coupon_is_mailed_to_the_right_address_with_another_code_and_link() -> None:
    before = make_coupon(email="grcae@example.com")
    Email.objects.all().delete()
    moved = moving.move(before, by=STAFF, to=RIGHT, reason=REASON)
    assert (moved.email, moved.status, moved.percent) == (RIGHT, Grant.APPROVED, before.percent)
    assert (moved.token == before.token, moved.code == before.code) == (False, False)
    mail = Email.objects.get()
    assert (mail.to, str(moved.code) in str(compose(mail).body)) == (RIGHT, True)
    event = GrantEvent.objects.latest("pk")
    assert (event.what, event.actor, event.note) == ("moved to another address", STAFF, REASON)
    with pytest.raises(AlreadyDecided):  # the second of two clicks
        moving.move(before, by=STAFF, to=RIGHT, reason=REASON)
    assert Email.objects.count() == 1


def test_what_is_decided_stays_and_nobody_gets_two_of_a_course() -> None:
    grant = make_application(email="grcae@example.com")
    make_application(grant.course, email=RIGHT)
    with pytest.raises(ApplicationOpen):
        moving.move(grant, by=STAFF, to=RIGHT, reason=REASON)
    used = make_coupon(grant.course, email="other@example.com")
    applications.revoke(used, by=STAFF)
    with pytest.raises(AlreadyDecided):
        moving.move(used, by=STAFF, to="x@example.com", reason=REASON)
    grants = Grant.objects.order_by("created_at").values_list("email", flat=True)
    assert list(grants) == ["grcae@example.com", RIGHT, "other@example.com"]


@pytest.mark.any_engine
def test_staff_move_an_application_and_its_confirmation_follows(client: Client) -> None:
    client.force_login(User.objects.create_superuser("boss@example.com", "a long enough phrase"))
    grant = make_application(email="grcae@example.com")
    page = f"/admin/grants/grant/{grant.pk}/move/"
    assert "Enter a valid" in client.post(page, {"to": "grace@", "reason": REASON}).content.decode()
    assert client.post(page, {"to": RIGHT.upper(), "reason": REASON}).status_code == 302
    mail = Email.objects.get(to=RIGHT)
    assert mail.kind == "grant_received"
    entry = AuditEntry.objects.get(row_id=str(grant.pk))
    assert (entry.what, entry.reason) == (
        f"moved from grcae@example.com to {RIGHT}: {REASON}",
        REASON,
    )
