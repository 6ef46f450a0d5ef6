"""A deleted account: what the law keeps stays, and names nobody."""

import json

import pytest
from allauth.account.models import EmailAddress
from django.apps import apps
from django.test import Client

from accounts.models import User
from affiliates import payouts
from affiliates.models import Affiliate
from enrollments import forgetting
from enrollments.errors import AccountInUse
from enrollments.models import Enrollment
from enrollments.provisioning import LMS_JOBS
from grants.models import Grant
from maaledu.work.queue import drain
from notifications.models import Email
from notifications.queue import EMAILS
from payments.models import Payment
from tests.affiliates import payday
from tests.affiliates.make import make_affiliate, make_staff, sell
from tests.factories import (
    completed,
    deliver,
    make_course,
    make_pending,
    refund_of,
    refunded,
)
from tests.grants.make import make_application, make_coupon
from tests.sandbox_client import Sandbox
from tests.storefront.test_my_courses import signed_in

EMAIL, NAME = "leaving@example.com", "Leonie Leaving"
# Deleted by age: see operations.retention. The history of the office names whom staff looked at.
BY_AGE = {"payments.StripeEvent", "sessions.Session", "admin.LogEntry", "lms_sync.SyncAttempt"}


def everything() -> dict[str, str]:
    """Return what each table holds, as text."""
    return {
        model._meta.label: json.dumps(list(model._default_manager.values()), default=str)
        for model in apps.get_models()
        if model._meta.label not in BY_AGE
    }


def somebody(client: Client, sandbox: Sandbox) -> Client:
    """Return a learner with a course that was paid, applications and messages."""
    _, payment = make_pending(make_course(), email=EMAIL, name=NAME)
    deliver(client, completed(payment))
    make_application(email=EMAIL)
    make_coupon(make_course(), email=EMAIL)
    drain(LMS_JOBS)
    drain(EMAILS)
    assert Enrollment.objects.get().has_access
    return signed_in(EMAIL)


@pytest.mark.every_engine
def test_nothing_names_somebody_who_deletes_their_account(buyer: Client, sandbox: Sandbox) -> None:
    learner = somebody(buyer, sandbox)
    token = Enrollment.objects.get().token
    assert EMAIL in "".join(everything().values())
    page = learner.post("/account/delete/", {"email": EMAIL})
    assert (page.status_code, page["Location"]) == (302, "/accounts/login/")
    found = {
        label: name
        for label, text in everything().items()
        for name in (EMAIL, NAME)
        if name in text
    }
    assert found == {}
    enrollment, payment = Enrollment.objects.get(), Payment.objects.get()
    assert (enrollment.status, payment.status, payment.amount_received) == ("paid", "paid", 49900)
    assert enrollment.forgotten_at is not None
    assert {grant.status for grant in Grant.objects.all()} == {"rejected", "revoked"}
    user = User.objects.get()
    assert (user.is_active, user.name, EmailAddress.objects.count()) == (False, "", 0)
    assert learner.get("/account/").status_code == 302
    assert EMAIL not in buyer.get(f"/enrollments/{token}/").text
    again = signed_in(EMAIL)
    assert "Nothing here yet" in again.get("/account/").text


def test_a_refund_after_the_account_was_deleted_mails_nobody(
    buyer: Client, sandbox: Sandbox
) -> None:
    """And no message dies of an address that there is not, of which staff would be alerted."""
    learner = somebody(buyer, sandbox)
    learner.post("/account/delete/", {"email": EMAIL})
    sent, payment = len(sandbox.mails()), Payment.objects.get()
    refund = {"payment_intent": payment.stripe_payment_intent_id}
    deliver(buyer, refunded({**refund_of(payment), **refund}))
    drain(EMAILS)
    mail = Email.objects.get(kind="refund_made")
    assert (mail.status, mail.sent_at, len(sandbox.mails())) == ("done", None, sent)
    assert Payment.objects.get().enrollment.status == "refunded"


@pytest.mark.any_engine
def test_another_address_than_the_accounts_deletes_nothing(buyer: Client, sandbox: Sandbox) -> None:
    learner = somebody(buyer, sandbox)
    page = learner.post("/account/delete/", {"email": "other@example.com"})
    assert (page.status_code, User.objects.get().email) == (400, EMAIL)
    assert learner.get("/account/").status_code == 200


@pytest.mark.any_engine
def test_an_account_stays_while_a_checkout_is_open(buyer: Client) -> None:
    make_pending(email=EMAIL)
    page = signed_in(EMAIL).post("/account/delete/", {"email": EMAIL})
    assert page.status_code == 409
    assert "still open" in page.text
    assert User.objects.get().is_active


@pytest.mark.any_engine
def test_an_account_stays_while_access_is_on_its_way(buyer: Client, sandbox: Sandbox) -> None:
    """The access would be made, and told of, by an address that is nobody's."""
    _, payment = make_pending(make_course(), email=EMAIL, name=NAME)
    deliver(buyer, completed(payment))
    learner = signed_in(EMAIL)
    page = learner.post("/account/delete/", {"email": EMAIL})
    assert (page.status_code, "still being set up" in page.text) == (409, True)
    assert Enrollment.objects.get().email == EMAIL
    drain(LMS_JOBS)
    assert learner.post("/account/delete/", {"email": EMAIL}).status_code == 302
    assert Enrollment.objects.get().email != EMAIL


def test_an_affiliate_leaves_when_nothing_is_owed(buyer: Client) -> None:
    affiliate = make_affiliate(EMAIL, name=NAME)
    forgetting.delete_account(affiliate.user, by="its owner")
    affiliate.refresh_from_db()
    assert (affiliate.status, affiliate.name) == (Affiliate.CLOSED, "A former affiliate")
    assert (affiliate.payout_sealed, affiliate.payout_hint, affiliate.payee_name) == ("", "", "")
    owed = make_affiliate("owed@example.com")
    sell(buyer, owed)
    with pytest.raises(AccountInUse, match="not settled"):
        forgetting.delete_account(owed.user, by="its owner")
    owed.refresh_from_db()
    assert (owed.status, owed.user.is_active) == (Affiliate.ACTIVE, True)


def test_an_affiliate_stays_while_a_payout_is_on_its_way() -> None:
    """What was released is on no balance any more, and is not paid yet."""
    affiliate = payday.owed()
    batch = payday.batch_in("released")
    with pytest.raises(AccountInUse, match="not settled"):
        forgetting.delete_account(affiliate.user, by="its owner")
    payouts.mark_paid(batch, by=make_staff(), reference="BANK-1")
    forgetting.delete_account(affiliate.user, by="its owner")
    affiliate.refresh_from_db()
    assert affiliate.status == Affiliate.CLOSED


@pytest.mark.any_engine
def test_staff_ask_a_colleague(db: None) -> None:
    boss = User.objects.create_superuser("boss@example.com", "a long enough passphrase")
    with pytest.raises(AccountInUse):
        forgetting.delete_account(boss, by="its owner")


def test_the_export_has_what_is_kept_of_a_person_and_nobody_else(
    buyer: Client, sandbox: Sandbox
) -> None:
    learner = somebody(buyer, sandbox)
    make_pending(make_course(title="Somebody else's"), email="other@example.com")
    answer = learner.get("/account/data.json")
    assert answer["Content-Disposition"] == 'attachment; filename="my-data.json"'
    data = json.loads(answer.content)
    [enrollment] = data["enrollments"]
    assert (enrollment["name"], enrollment["price"], enrollment["status"]) == (
        NAME,
        "499.00",
        "paid",
    )
    assert [payment["status"] for payment in data["payments"]] == ["paid"]
    assert {grant["status"] for grant in data["grants"]} == {"pending", "approved"}
    assert data["affiliate"] is None
    assert {message["to"] for message in data["messages"]} == {EMAIL}
    assert "other@example.com" not in answer.text
    assert Client().get("/account/data.json").status_code == 302
