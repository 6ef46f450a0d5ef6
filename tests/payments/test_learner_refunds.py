"""Refunds that learners ask for: within the promised days, once, and decided by staff."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import User
from enrollments.models import Enrollment
from enrollments.provisioning import LMS_JOBS
from maaledu.work.queue import drain
from notifications.models import Email
from notifications.outgoing import compose
from payments import learner_refunds
from payments.errors import RefundAskedAlready, RefundNotOffered
from payments.models import Payment, Refund, RefundRequest
from payments.webhooks import EVENTS
from tests.concurrency import race
from tests.factories import make_pending
from tests.office.test_refunds import buy
from tests.sandbox_client import Sandbox
from tests.storefront.test_my_courses import signed_in

EMAIL = "lea@example.com"
SAID = ["Your refund was made.", "Your refund was requested.", "Your refund did not go through."]


def pages_of(enrollment: Enrollment) -> str:
    return f"/account/refund/{enrollment.token}/"


def fresh(payment: Payment) -> Enrollment:
    return Enrollment.objects.get(pk=payment.enrollment_id)


def decide(client: Client, request: RefundRequest, name: str, **form: str):
    page = f"/admin/payments/refundrequest/{request.pk}/{name}/"
    return client.post(page, {"decide": "1", **form})


@pytest.mark.any_engine
def test_a_learner_asks_and_staff_refund_in_full(buyer: Client, sandbox: Sandbox, office) -> None:
    payment = buy(sandbox, email=EMAIL)
    enrollment = fresh(payment)
    learner = signed_in(EMAIL)
    assert f'href="{pages_of(enrollment)}"' in learner.get("/account/").text
    assert "Ask for my money back" in learner.get(pages_of(enrollment)).text
    answer = learner.post(pages_of(enrollment), {"reason": "Not for me"})
    assert (answer.status_code, answer["Location"]) == (302, "/account/")
    request = RefundRequest.objects.get()
    assert (request.status, request.reason, request.payment_id) == (
        "open",
        "Not for me",
        payment.pk,
    )
    assert "looks at it and answers" in compose(Email.objects.get(kind="refund_asked")).body
    assert Refund.objects.count() == 0
    courses = learner.get("/account/").text
    assert "Refund requested" in courses
    assert f'href="{pages_of(enrollment)}"' not in courses
    drain(LMS_JOBS)
    refused = learner.post("/account/delete/", {"email": EMAIL})
    assert (refused.status_code, fresh(payment).email) == (409, EMAIL)
    assert "You have asked for a refund, and we have not answered yet." in refused.text

    assert "refund request of a learner" in office.get("/admin/").text
    assert decide(office, request, "refund").status_code == 302
    request.refresh_from_db()
    refund = Refund.objects.get()
    assert (request.status, refund.amount, refund.pk) == ("refunded", payment.amount, request.pk)
    drain(EVENTS)
    enrollment.refresh_from_db()
    assert enrollment.status == Enrollment.REFUNDED
    assert decide(office, request, "refund").status_code == 200
    assert Refund.objects.count() == 1
    assert "refund request of a learner" not in office.get("/admin/").text


def test_staff_decline_with_a_reason_that_the_learner_reads(
    buyer: Client, sandbox: Sandbox, office
) -> None:
    enrollment = fresh(buy(sandbox, email=EMAIL))
    request = learner_refunds.ask(enrollment, reason="My name is Lea.")
    assert decide(office, request, "decline").status_code == 200
    decide(office, request, "decline", note="You have completed it.")
    request.refresh_from_db()
    assert (request.status, Refund.objects.count()) == ("declined", 0)
    assert "You have completed it." in compose(Email.objects.get(kind="refund_declined")).body
    learner = signed_in(EMAIL)
    assert "could not refund" in learner.get(pages_of(enrollment)).text
    assert "Refund declined" in learner.get("/account/").text
    assert not learner_refunds.refund(request, by="boss")
    drain(LMS_JOBS)
    assert learner.post("/account/delete/", {"email": EMAIL}).status_code == 302
    assert RefundRequest.objects.get().reason == ""


def test_a_refund_that_stripe_refuses_leaves_the_request_open(
    buyer: Client, sandbox: Sandbox, office
) -> None:
    enrollment = fresh(buy(sandbox, email=EMAIL))
    request = learner_refunds.ask(enrollment)
    sandbox.refuse(match="POST /v1/refunds", code="balance_insufficient", message="No.")
    assert decide(office, request, "refund").status_code == 200
    request.refresh_from_db()
    assert request.status == "open"
    sandbox.stop_refusing()
    decide(office, request, "refund")
    request.refresh_from_db()
    assert request.status == "refunded"
    assert Refund.objects.filter(status="succeeded").count() == 1


@pytest.mark.breaks_invariants
def test_the_page_says_what_became_of_a_refund_and_not_what_was_decided(sandbox: Sandbox) -> None:
    """Stripe may not have answered yet, and a bank may send back what was made."""
    enrollment = fresh(buy(sandbox, email=EMAIL))
    learner_refunds.refund(learner_refunds.ask(enrollment), by="boss")
    learner, words = signed_in(EMAIL), {}
    for status in ("succeeded", "requested", "pending", "failed"):
        Refund.objects.update(status=status)
        page = learner.get(pages_of(enrollment)).text
        words[status] = [text for text in SAID if text in page]
    assert words == {
        "succeeded": SAID[:1],
        "requested": SAID[1:2],
        "pending": SAID[1:2],
        "failed": SAID[2:],
    }
    Refund.objects.update(status="pending")
    Enrollment.objects.update(lms_status="success")
    refused = learner.post("/account/delete/", {"email": EMAIL})
    assert (refused.status_code, "still on its way" in refused.text) == (409, True)


def _late(enrollment: Enrollment) -> None:
    Enrollment.objects.update(paid_at=timezone.now() - timedelta(days=14, minutes=1))


def _completed(enrollment: Enrollment) -> None:
    Enrollment.objects.update(completed_at=timezone.now())


def _free(enrollment: Enrollment) -> None:
    Enrollment.objects.update(amount=0)


def _refunded(enrollment: Enrollment) -> None:
    Payment.objects.update(refund_committed=enrollment.amount)


@pytest.mark.breaks_invariants
@pytest.mark.parametrize("change", [_late, _completed, _free, _refunded])
def test_what_is_not_promised_cannot_be_asked_for(sandbox: Sandbox, change) -> None:
    enrollment = fresh(buy(sandbox, email=EMAIL))
    learner = signed_in(EMAIL)
    change(enrollment)
    enrollment.refresh_from_db()
    with pytest.raises(RefundNotOffered):
        learner_refunds.ask(enrollment)
    page = learner.post(pages_of(enrollment), {"reason": ""})
    assert (page.status_code, RefundRequest.objects.count()) == (409, 0)
    assert not Email.objects.filter(kind="refund_asked").exists()


@pytest.mark.any_engine
def test_nobody_asks_where_the_shop_promises_nothing_or_for_somebody_else(
    sandbox: Sandbox, settings: Settings
) -> None:
    enrollment = fresh(buy(sandbox, email=EMAIL))
    assert Client().get(pages_of(enrollment)).status_code == 302
    stranger = signed_in("stranger@example.com")
    assert stranger.get(pages_of(enrollment)).status_code == 404
    assert stranger.post(pages_of(enrollment)).status_code == 404
    settings.REFUND_DAYS = 0
    assert learner_refunds.may_be_asked_until(enrollment) is None
    assert RefundRequest.objects.count() == 0


@pytest.mark.every_engine
def test_of_many_who_ask_at_once_one_request_is_kept(sandbox: Sandbox) -> None:
    enrollment = fresh(buy(sandbox, email=EMAIL))

    def ask(_: int) -> bool:
        try:
            return bool(learner_refunds.ask(Enrollment.objects.get(pk=enrollment.pk)))
        except RefundAskedAlready:
            return False

    assert race(ask, threads=8).count(True) == RefundRequest.objects.count() == 1
    assert Email.objects.filter(kind="refund_asked").count() == 1


@pytest.mark.any_engine
def test_each_decision_asks_for_its_permission(sandbox: Sandbox) -> None:
    enrollment = fresh(buy(sandbox, email=EMAIL))
    request = learner_refunds.ask(enrollment)
    clerk = User.objects.create_user("clerk@example.com", "a long passphrase", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename="view_refundrequest"))
    client = Client()
    client.force_login(clerk)
    assert client.get(f"/admin/payments/refundrequest/{request.pk}/change/").status_code == 200
    for name in ("refund", "decline"):
        assert decide(client, request, name, note="x").status_code == 403
    request.refresh_from_db()
    assert request.status == "open"


@pytest.mark.any_engine
def test_an_unpaid_enrollment_has_nothing_to_ask_for(db: None) -> None:
    enrollment, _ = make_pending(email=EMAIL)
    assert learner_refunds.may_be_asked_until(enrollment) is None
