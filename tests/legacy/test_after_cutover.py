"""After the final run: people sign in, old coupons and links work, old sessions are still paid."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from accounts.models import User
from affiliates import memberships, payouts
from affiliates.errors import NothingToPay
from affiliates.models import Affiliate, Balance, LedgerEntry
from affiliates.payout_details import PayoutDetails
from courses.models import Course
from enrollments.models import Enrollment
from grants.models import Grant
from legacy.models import ImportProposal
from lms_sync.models import DeadLetter, SyncJob
from notifications.models import Alert, Email
from operations import invariants
from payments.models import Payment, Refund
from tests.affiliates.make import IBAN, make_staff
from tests.affiliates.payday import amounts, draft
from tests.api.asking import post, refused
from tests.factories import deliver, event_of, refund_of, refunded
from tests.legacy.old_database import (
    LONG_HASH,
    LONG_PASSWORD,
    PASSWORD,
    hand_written,
    oid,
    write_json,
)
from tests.legacy.run import import_legacy
from tests.office.test_lists import member
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.django_db


@pytest.fixture
def now() -> datetime:
    return timezone.now().replace(microsecond=0)


@pytest.fixture
def moved(tmp_path: Path, now: datetime) -> None:
    """The old shop of this morning, brought over for good."""
    old = hand_written()
    young = old["enrollments"][5]
    young["_id"], young["createdAt"] = oid(now, 700), now - timedelta(hours=2)
    first = old["users"][0]
    plain = {**first, "_id": oid(now, 701), "email": "plain@example.com", "password": "plain text"}
    longer = {**first, "_id": oid(now, 702), "email": "long@example.com", "password": LONG_HASH}
    unproven = {**first, "_id": oid(now, 703), "email": "new@example.com", "isVerified": False}
    old["users"] += [plain, longer, unproven]
    source = write_json(old, tmp_path / "old")
    import_legacy(source, "--final", "--backup-id", "b", "--exported-at", now.isoformat())


@pytest.fixture
def hashers(settings) -> None:
    """As the product has them: for all other tests there is one that is quick."""
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.Argon2PasswordHasher",
        "accounts.old_passwords.OldPlatformHasher",
    ]


def sign_in(email: str, password: str) -> Any:
    return Client().post("/accounts/login/", {"login": email, "password": password})


def old_session(payment: Payment, **fields: Any) -> dict[str, Any]:
    """Return a Checkout Session as the old platform had opened it."""
    return {
        "id": payment.stripe_session_id,
        "object": "checkout.session",
        "status": "complete",
        "payment_status": "paid",
        "amount_total": payment.amount,
        "currency": payment.currency,
        "payment_intent": "pi_late",
        "metadata": {"enrollmentId": "65f0", "courseId": "sql-basics"},
        "livemode": False,
        **fields,
    }


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("email", "password"), [("ada@example.com", PASSWORD), ("long@example.com", LONG_PASSWORD)]
)
def test_an_old_password_signs_in_and_is_stored_anew(
    moved: None, hashers: None, email: str, password: str
) -> None:
    assert User.objects.get(email=email).password.startswith("bcrypt$$2")
    assert sign_in(email, password)["Location"] == "/account/"
    assert User.objects.get(email=email).password.startswith("argon2$")
    assert sign_in(email, password)["Location"] == "/account/"
    assert sign_in(email, f"{password[:20]}?").status_code == 200


@pytest.mark.any_engine
def test_who_had_no_good_password_or_proof_is_asked_for_one(moved: None, hashers: None) -> None:
    assert sign_in("plain@example.com", "x" * 5000).status_code == 200
    assert sign_in("plain@example.com", "plain text").status_code == 200
    assert sign_in("new@example.com", PASSWORD)["Location"] == "/accounts/confirm-email/"
    User.objects.filter(email="ada@example.com").update(password="bcrypt$$2b$04$damaged")
    assert sign_in("ada@example.com", PASSWORD).status_code == 200


def test_a_session_that_the_old_shop_opened_is_paid_for_once(moved: None, client: Client) -> None:
    """Requirement R205: nobody's money is taken for nothing on the day of the move."""
    payment = Payment.objects.get(stripe_session_id="cs_young")
    event = event_of(old_session(payment))
    assert deliver(client, event).json()["message"] == "Event processed"
    payment.refresh_from_db()
    enrollment = Enrollment.objects.get(email="young@example.com")
    assert (payment.status, enrollment.status) == (Payment.PAID, Enrollment.PAID)
    assert payment.stripe_payment_intent_id == "pi_late"
    assert deliver(client, event).json()["message"] == "Event already processed"
    assert SyncJob.objects.filter(email="young@example.com").count() == 1
    assert invariants.verify() == []


@pytest.mark.any_engine
def test_a_paid_old_session_that_nothing_here_has_alerts_staff(client: Client, db: None) -> None:
    lost = Payment(stripe_session_id="cs_lost", amount=100, currency="usd")
    deliver(client, event_of(old_session(lost)))
    assert Alert.objects.get().subject == "A Stripe event was not applied"
    deliver(client, event_of({**old_session(lost), "id": "cs_2", "payment_status": "unpaid"}))
    assert Alert.objects.count() == 1


def test_old_events_are_known_and_refunds_of_old_payments_found(
    moved: None, client: Client
) -> None:
    payment = Payment.objects.get(stripe_payment_intent_id="pi_first")
    again = event_of(old_session(payment), id="evt_first")
    assert deliver(client, again).json()["message"] == "Event already processed"
    refund = {**refund_of(payment), "payment_intent": "pi_first"}
    deliver(client, refunded(refund))
    enrollment = payment.enrollment
    enrollment.refresh_from_db()
    assert enrollment.status == Enrollment.REFUNDED
    assert LedgerEntry.objects.filter(kind=LedgerEntry.REVERSAL).get().amount == -2490
    assert Refund.objects.filter(payment=payment).count() == 1


def test_nothing_leaves_until_it_is_asked_for(moved: None, sandbox: Sandbox) -> None:
    import_legacy("--enqueue-stuck")
    assert Email.objects.exclude(status="done").count() == 0
    [letter] = DeadLetter.objects.all()
    assert (letter.status, letter.job.status) == ("replayed", "pending")
    assert "0 jobs enqueued" in import_legacy("--enqueue-stuck").text


@pytest.mark.any_engine
def test_an_old_coupon_works_in_its_old_spelling_and_a_used_one_does_not(
    moved: None, client: Client
) -> None:
    Course.objects.filter(slug="sql-basics").update(status="published", category="data")
    form = {"email": "new@example.com", "coupon": "Test100", "accept_terms": "on"}
    page = client.post("/checkout/sql-basics/coupon/", form)
    assert (page.status_code, "$124.50" in page.content.decode()) == (200, True)
    used = {**form, "email": "half@example.com", "coupon": "HALF1234"}
    assert client.post("/checkout/sql-basics/coupon/", used).status_code == 409
    assert Grant.objects.get(code="MAAL-TEST-100").status == Grant.APPROVED


@pytest.mark.any_engine
def test_old_addresses_and_links_lead_where_they_did(
    moved: None, client: Client, sandbox: Sandbox, settings
) -> None:
    Course.objects.filter(slug="old-course-7").update(status="published", category="data")
    answer = client.get("/courses/Old-Course_7/")
    assert (answer.status_code, answer["Location"]) == (301, "/courses/old-course-7/")
    browser = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0"}
    client.get("/courses/old-course-7/?ref=PARTNER@agency.example", headers=browser)
    assert settings.REFERRAL_COOKIE_NAME in client.cookies
    # A program goes on with the course's old name.
    bought = {"courseId": "Old-Course_7", "email": "new@example.com"}
    asked = post(client, "/api/grants/validate", {**bought, "couponCode": "x"})
    assert refused(asked) == (409, "COUPON_UNAVAILABLE")
    started = post(client, "/api/checkout", {**bought, "acceptTerms": True})
    assert started.status_code == 201


def test_a_proposal_is_accepted_once_and_only_with_the_permission(moved: None) -> None:
    [proposal] = ImportProposal.objects.all()
    path = f"/admin/legacy/importproposal/{proposal.pk}/accept/"
    assert member("view_importproposal").post(path).status_code == 403
    User.objects.filter(email="clerk@example.com").delete()
    clerk = member("view_importproposal", "decide_importproposal")
    before = Balance.objects.get().earned
    page = clerk.get(path).content.decode()
    assert ("what the list price gives on top" in page, "+$12.45" in page) == (True, True)
    assert clerk.post(path, {"reason": "As booked"}).status_code == 302
    assert Balance.objects.get().earned == before + 1245
    assert "decided before" in clerk.post(path, {"reason": "As booked"}).content.decode()
    assert LedgerEntry.objects.filter(source_key__contains="legacy-proposal").count() == 1
    assert LogEntry.objects.count() == 1
    assert invariants.verify() == []
    unknown = {"kind": "unknown_affiliate", "named": "gone@nowhere.example", "currency": "usd"}
    nobody = ImportProposal.objects.create(key="enrollments:x", difference=500, **unknown)
    page = clerk.get(f"/admin/legacy/importproposal/{nobody.pk}/change/").content.decode()
    assert (f"{nobody.pk}/accept/" in page, f"{nobody.pk}/refuse/" in page) == (False, True)


@pytest.mark.any_engine
def test_what_the_old_shop_still_owed_is_paid_out_to_the_cent(moved: None, settings) -> None:
    """Its opening balance, and only once the affiliate has said where to."""
    settings.PAYOUT_MINIMUM = 1
    affiliate, one, other = Affiliate.objects.get(), make_staff(), make_staff()
    with pytest.raises(NothingToPay):
        draft(one)
    memberships.change_details(affiliate, PayoutDetails(Affiliate.BANK, "Partner", IBAN))
    batch = draft(one)
    released = payouts.release(batch, by=other)
    assert (amounts(batch), released.cancelled) == ([1245 + 2490 - 1000], [])
    payouts.mark_paid(batch, by=other, reference="BANK-1")
    balance = Balance.objects.get()
    assert (balance.pending, balance.payable, balance.paid) == (0, 0, 1245 + 2490 - 1000)
    with pytest.raises(NothingToPay):
        draft(one)
    assert invariants.verify() == []


def test_a_commission_that_no_price_explains_is_kept_as_it_was_paid(
    tmp_path: Path, now: datetime
) -> None:
    old = hand_written()
    old["enrollments"][0]["affiliateData"]["commissionAmount"] = 51.13
    source = write_json(old, tmp_path / "old")
    import_legacy(source, "--final", "--backup-id", "b", "--exported-at", now.isoformat())
    assert ImportProposal.objects.get(kind="commission_odd").difference == 2490 - 5113
    assert invariants.verify() == []


def test_a_closed_checkout_says_so_in_a_friendly_way(moved: None, client: Client, settings) -> None:
    Course.objects.filter(slug="sql-basics").update(status="published", category="data")
    settings.CHECKOUT_CLOSED = True
    for answer in (
        client.get("/checkout/sql-basics/"),
        client.post("/checkout/sql-basics/", {"email": "a@example.com", "accept_terms": "on"}),
        client.post("/checkout/sql-basics/coupon/", {"email": "a@example.com", "coupon": "x"}),
    ):
        assert answer.status_code == 503
        assert "Enrollment opens again soon" in answer.content.decode()
    assert Enrollment.objects.filter(email="a@example.com").count() == 0


def test_stripe_is_asked_for_the_intents_that_the_old_shop_did_not_keep(
    moved: None, sandbox: Sandbox
) -> None:
    [payment] = Payment.objects.filter(stripe_session_id="cs_half")
    assert payment.stripe_payment_intent_id == ""
    ran = import_legacy("--ask-stripe")
    assert f"payment {payment.pk}: no_intent, Stripe says STRIPE_SESSION_UNKNOWN" in ran.text
    assert f"enrollment {payment.enrollment_id}: half@example.com is not there" in (
        import_legacy("--ask-lms").text
    )
