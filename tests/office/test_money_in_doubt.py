"""What staff see of payments in doubt: disputes by the date to answer, fraud warnings, outcomes."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from affiliates.models import Commission
from notifications.models import Email
from payments import settlement
from payments.models import Dispute, EarlyFraudWarning, Payment, StripeEvent
from tests.affiliates.make import make_affiliate, sell
from tests.affiliates.shop import fresh
from tests.factories import (
    completed,
    deliver,
    dispute_of,
    disputed,
    make_payment,
    make_pending,
    refund_of,
    refunded,
)
from tests.office.test_decisions import choose, page_of
from tests.payments.test_fraud_warnings import WITHDRAWN, says, warned
from tests.statements import statements

DISPUTES, PAYMENTS = "/admin/payments/dispute/", "/admin/payments/payment/"
REFUNDS = "/admin/payments/refund/"


def listed(client: Client, url: str, **query: str) -> list[Any]:
    return list(client.get(url, query).context["cl"].result_list)


@pytest.mark.every_engine
def test_answers_that_are_due_are_found_by_their_date(office: Client):
    now = timezone.now()
    for status, days in (
        ("needs_response", 3),
        ("warning_needs_response", -1),
        ("appeal_needs_response", 20),
        ("under_review", 3),
        ("lost", -1),
    ):
        due_by = int((now + timedelta(days=days)).timestamp())
        payment = sell(office, make_affiliate())[1]
        deliver(office, disputed(dispute_of(payment, status, evidence_details={"due_by": due_by})))
    for due, statuses in {
        "any": {"needs_response", "warning_needs_response", "appeal_needs_response"},
        "soon": {"needs_response"},
        "past": {"warning_needs_response"},
    }.items():
        found = listed(office, DISPUTES, due=due)
        assert {dispute.stripe_status for dispute in found} == statuses, due
    assert len(listed(office, DISPUTES)) == 5
    shown = office.get(DISPUTES, {"due": "any"}).content.decode()
    assert "Waits for an answer" in shown


@pytest.mark.any_engine
@pytest.mark.every_engine
def test_the_list_of_payments_says_what_came_of_each(office: Client):
    """Faults M13 and U4: a refunded one was a green PAID."""
    affiliate = make_affiliate()
    sales = [sell(office, affiliate)[1] for _ in range(5)]
    deliver(office, refunded(refund_of(sales[0])))
    deliver(office, refunded(refund_of(sales[1], 10000)))
    deliver(office, disputed(dispute_of(sales[2])))
    deliver(office, disputed(dispute_of(sales[3], "lost")))
    second = make_payment(sales[4].enrollment, attempt=2)
    deliver(office, completed(second))
    make_pending()
    shown = {payment.pk: payment.outcome.label for payment in listed(office, PAYMENTS)}
    assert [shown[payment.pk] for payment in (*sales, second)] == [
        "refunded",
        "refunded partly: $100.00 of $499.00",
        "disputed",
        "lost",
        "paid",
        "duplicate",
    ]
    page = office.get(PAYMENTS).content.decode()
    assert page.count("refunded partly: $100.00 of $499.00") == 1
    assert sales[0].enrollment.email in page
    enrollment = office.get(f"/admin/enrollments/enrollment/{sales[0].enrollment_id}/change/")
    assert "refunded" in enrollment.content.decode()


@pytest.mark.any_engine
def test_every_reason_that_stripe_documents_is_offered_by_the_lists(office: Client):
    offered = {DISPUTES: ["debit not authorized", "noncompliant"], REFUNDS: ["fraudulent"]}
    for page, reasons in offered.items():
        shown = office.get(page).text
        assert [reason in shown for reason in reasons] == [True] * len(reasons), page


@pytest.mark.any_engine
def test_the_list_of_payments_costs_the_same_for_any_number(office: Client):
    counts = []
    office.get("/admin/")  # what the sidebar counts is kept for half a minute
    for _ in range(2):
        for _ in range(3):
            payment = sell(office, make_affiliate())[1]
            deliver(office, refunded(refund_of(payment, 1)))
            deliver(office, disputed(dispute_of(payment)))
            deliver(office, warned()(payment))
        with statements() as asked:
            assert office.get(PAYMENTS).status_code == 200
        counts.append(len(asked))
    assert counts[0] == counts[1]


@pytest.mark.any_engine
@pytest.mark.every_engine
def test_an_open_warning_is_shown_with_its_date_and_closed(office: Client):
    payment = sell(office, make_affiliate())[1]
    deliver(office, warned()(payment))
    warning = EarlyFraudWarning.objects.get()
    pages = (
        "/admin/payments/earlyfraudwarning/",
        f"/admin/payments/earlyfraudwarning/{warning.pk}/change/",
        f"{PAYMENTS}{payment.pk}/change/",
    )
    for page in pages:
        shown = office.get(page).content.decode()
        assert "made with stolen card" in shown, page
        assert "Sep 23, 2026" in shown, page
    shown = office.get(f"{PAYMENTS}{payment.pk}/refund/").content.decode()
    assert "issuer warned of fraud on Sep 21, 2026" in shown
    refund = f"{PAYMENTS}{payment.pk}/refund/"
    assert refund in office.get(pages[1]).content.decode()
    for page in (PAYMENTS, pages[2]):
        assert "paid, fraud warning" in office.get(page).content.decode(), page
    commission = Commission.objects.get()
    assert "sale in doubt" in office.get(page_of(commission, "hold")).content.decode()
    assert payment.enrollment.email in office.get(page_of(warning, "close")).content.decode()
    assert listed(office, pages[0], q=payment.enrollment.email) == [warning]
    office.post(page_of(warning, "close"), {"reason": "Genuine"})
    assert (fresh(warning).status, fresh(warning).closed_by) == ("closed", "boss@example.com")
    assert not fresh(commission).is_held
    assert "sale in doubt" not in office.get(page_of(commission, "hold")).content.decode()
    assert LogEntry.objects.get().change_message == "closed: Genuine"
    assert (
        "1 skipped"
        in office.post(
            pages[0],
            {"action": "close", "_selected_action": [str(warning.pk)], "decide": "", "reason": "-"},
            follow=True,
        ).content.decode()
    )
    assert page_of(warning, "close") not in office.get(pages[1]).content.decode()


@pytest.mark.every_engine
def test_a_dispute_that_keeps_the_money_without_a_decision_can_be_counted_as_lost(office: Client):
    enrollment, payment = sell(office, make_affiliate())
    deliver(office, says("prevented")(payment))
    dispute = Dispute.objects.get()
    page = f"{DISPUTES}{dispute.pk}/change/"
    assert page_of(dispute, "count_as_lost") not in office.get(page).content.decode()
    office.post(page_of(dispute, "count_as_lost"), {"reason": "Prevented"})
    assert (fresh(dispute).status, fresh(enrollment).status) == ("warning", "paid")
    deliver(office, says("prevented", 1, WITHDRAWN)(payment))
    assert page_of(dispute, "count_as_lost") in office.get(page).content.decode()
    assert 'name="decide"' in choose(office, dispute, "count_as_lost")
    shown = office.get(page_of(dispute, "count_as_lost")).content.decode()
    assert ("prevented, fraudulent" in shown, "$499.00, at the bank" in shown) == (True, True)
    office.post(page_of(dispute, "count_as_lost"), {"reason": "Prevented"})
    assert (fresh(dispute).status, fresh(enrollment).status) == ("lost", "refunded")
    assert Commission.objects.get().net == 0
    assert Email.objects.filter(kind="enrollment_ended").count() == 1
    assert page_of(dispute, "count_as_lost") not in office.get(page).content.decode()


@pytest.mark.any_engine
def test_the_refund_page_names_a_dispute_that_has_the_money(office: Client):
    payment: Payment = sell(office, make_affiliate())[1]
    deliver(office, says("warning_under_review", 0, WITHDRAWN)(payment))
    shown = office.get(f"{PAYMENTS}{payment.pk}/refund/").content.decode()
    assert "Stripe refuses a refund until that is decided" in " ".join(shown.split())


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("REPLACED", "the buyer started again with another price, coupon or link (REPLACED)"),
        ("STRIPE_REFUSED", "STRIPE_REFUSED"),
    ],
)
def test_the_office_says_why_an_enrollment_ended(office: Client, code: str, words: str):
    enrollment, payment = make_pending()
    settlement.fail(payment, code=code, actor="test")
    shown = office.get(f"/admin/enrollments/enrollment/{enrollment.pk}/change/").content.decode()
    assert "(&#x27;" not in shown, "a code and its words, as they color a list"
    assert words in shown


@pytest.mark.any_engine
@pytest.mark.every_engine
def test_the_payload_of_an_event_does_not_open_a_learners_page(office: Client) -> None:
    """Fault X7: Stripe sends back the address that the learner returns to."""
    enrollment, payment = make_pending()
    url = f"https://shop.example{enrollment.get_absolute_url()}status/"
    session = completed(payment)
    session["data"]["object"]["success_url"] = url
    deliver(Client(), session)
    event = StripeEvent.objects.get()
    page = office.get(f"/admin/payments/stripeevent/{event.pk}/change/").content.decode()
    assert enrollment.token not in page
    assert f"/enrollments/{enrollment.token[:4]}…/status/" in page
    assert payment.stripe_session_id in page
