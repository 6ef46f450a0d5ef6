"""A refund from the office: what the page shows, what it asks Stripe for, and what it refuses."""

import re
import uuid

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.test import Client

from accounts.models import User
from affiliates import attribution
from affiliates.models import Affiliate, Balance, FraudSignal, LedgerEntry
from enrollments.models import Enrollment
from lms_sync.models import SyncJob
from maaledu.amounts import read_units
from maaledu.money import plain_amount
from notifications.models import Email
from payments import checkout_sessions, gateway, refund_requests
from payments.models import Dispute, Payment, Refund
from tests.affiliates.make import make_affiliate, sell
from tests.concurrency import race
from tests.factories import (
    completed,
    deliver,
    dispute_of,
    disputed,
    make_course,
    make_payment,
    make_pending,
    refund_of,
    refunded,
)
from tests.grants.make import HOLDER, make_coupon
from tests.office.test_lists import member
from tests.sandbox_client import Sandbox
from tests.statements import statements

pytestmark = pytest.mark.any_engine

BOSS = "boss@example.com"
SENT_BEFORE = "This form was sent before"
TOO_MUCH = "That is more than is left of this payment."


@pytest.fixture
def staff(db: None) -> Client:
    User.objects.create_superuser(BOSS, "a long enough passphrase")
    return signed_in(BOSS)


def signed_in(email: str, **options) -> Client:
    client = Client(**options)
    client.force_login(User.objects.get(email=email))
    return client


def buy(
    sandbox: Sandbox, affiliate: Affiliate | None = None, *, course=None, **form: str
) -> Payment:
    """Buy a course through Stripe itself, by the link of an affiliate if there is one."""
    visitor, course = Client(), course or make_course(price=49900)
    if affiliate:
        visitor.cookies[settings.REFERRAL_COOKIE_NAME] = attribution.seal(affiliate.code)
    person = {"email": "buyer@example.com", "accept_terms": "on", **form}
    assert visitor.post(f"/checkout/{course.slug}/", person).status_code == 302
    return pay(sandbox, Payment.objects.get(status=Payment.PENDING))


def pay(sandbox: Sandbox, payment: Payment, **more: object) -> Payment:
    sandbox.pay(payment.stripe_session_id, **more)
    assert checkout_sessions.ask_stripe(payment, actor="test")
    payment.refresh_from_db()
    return payment


def pay_again(sandbox: Sandbox, payment: Payment) -> Payment:
    """Pay a second time for the same enrollment: it is set aside as a duplicate."""
    second = make_payment(payment.enrollment, stripe_session_id=None, checkout_url="")
    session = gateway.create_session(
        checkout_sessions.session_params(payment.enrollment, second),
        idempotency_key=second.idempotency_key,
        about="a second payment",
    )
    Payment.objects.filter(pk=second.pk).update(stripe_session_id=session["id"])
    second.refresh_from_db()
    return pay(sandbox, second)


def url(payment: Payment) -> str:
    return f"/admin/payments/payment/{payment.pk}/refund/"


def prefilled(client: Client, payment: Payment) -> dict[str, str]:
    """Return what a browser would send of the form as it is shown."""
    form = client.get(url(payment)).context["form"]
    return {
        "refund": "1",
        **{
            field.name: str(field.value() or "")
            for field in form
            if field.name != "gives_coupon_back"
        },
    }


def ask(client: Client, payment: Payment, **changes: str):
    return client.post(url(payment), {**prefilled(client, payment), **changes}, follow=True)


def preview(client: Client, payment: Payment, amount: str) -> str:
    form = {name: value for name, value in prefilled(client, payment).items() if name != "refund"}
    return text_of(client.post(url(payment), {**form, "amount": amount, "preview": "1"}))


def text_of(answer) -> str:
    return re.sub(r"\s+", " ", answer.content.decode()).replace("&#x27;", "'")


def sums(payment: Payment) -> tuple[int, int]:
    payment.refresh_from_db()
    return payment.refund_committed, payment.refundable


# --- what it does ---------------------------------------------------------------------------------
def test_a_full_refund_ends_the_enrollment_and_reverses_the_commission(
    staff: Client, sandbox: Sandbox
) -> None:
    affiliate = make_affiliate()
    payment = buy(sandbox, affiliate)
    answer = ask(staff, payment)
    assert answer.redirect_chain == [(f"/admin/payments/payment/{payment.pk}/change/", 302)]
    assert "$499.00 refunded." in text_of(answer)
    refund = Refund.objects.get()
    assert (refund.amount, refund.status, refund.source, refund.requested_by) == (
        49900,
        "succeeded",
        "staff",
        BOSS,
    )
    assert (refund.currency, refund.reason) == ("usd", "requested_by_customer")
    assert refund.stripe_refund_id.startswith("re_")
    assert sums(payment) == (49900, 0)
    assert payment.enrollment.status == "refunded"
    assert list(LedgerEntry.objects.order_by("created_at").values_list("kind", "amount")) == [
        ("commission", 4990),
        ("reversal", -4990),
    ]
    assert (
        SyncJob.objects.filter(action=SyncJob.REVOKE).count(),
        Email.objects.filter(kind="refund_made").count(),
    ) == (1, 1)
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.user.email) == (str(payment.pk), BOSS)
    assert "$499.00" in entry.change_message


@pytest.mark.parametrize("reason", [code for code, _ in Refund.REASONS])
def test_stripe_is_given_the_reason_that_staff_chose(
    staff: Client, sandbox: Sandbox, reason: str
) -> None:
    ask(staff, buy(sandbox), reason=reason)
    assert [refund["reason"] for refund in sandbox.book("refunds")] == [reason]
    assert Refund.objects.get().reason == reason


def test_a_partial_refund_keeps_the_enrollment_and_reverses_in_proportion(
    staff: Client, sandbox: Sandbox
) -> None:
    affiliate = make_affiliate()
    payment = buy(sandbox, affiliate)
    assert "$166.33 refunded." in text_of(
        ask(staff, payment, amount="166.33", note="A third <b>of it</b>")
    )
    assert sums(payment) == (16633, 33267)
    assert Refund.objects.get().note == "A third <b>of it</b>"
    assert Enrollment.objects.get().status == "paid"
    assert Balance.objects.get().pending == 4990 - 1663
    assert prefilled(staff, payment)["amount"] == "332.67"
    ask(staff, payment)
    assert (sums(payment), Enrollment.objects.get().status, Balance.objects.get().pending) == (
        (49900, 0),
        "refunded",
        0,
    )
    assert LogEntry.objects.count() == 2


def test_the_enrollment_leads_to_the_payment_that_paid_for_it(
    staff: Client, sandbox: Sandbox
) -> None:
    payment = buy(sandbox)
    second = pay_again(sandbox, payment)
    page = staff.get(f"/admin/enrollments/enrollment/{payment.enrollment_id}/refund/", follow=True)
    assert page.redirect_chain == [(url(payment), 302)]
    assert url(second) in text_of(page)
    assert f"/admin/enrollments/enrollment/{payment.enrollment_id}/refund/" in text_of(
        staff.get(f"/admin/enrollments/enrollment/{payment.enrollment_id}/change/")
    )


def test_an_enrollment_without_a_payment_has_nothing_to_refund(staff: Client) -> None:
    enrollment, payment = make_pending()
    answer = staff.get(f"/admin/enrollments/enrollment/{enrollment.pk}/refund/", follow=True)
    assert "there is nothing to refund" in text_of(answer)
    assert "There is nothing to refund." in text_of(staff.get(url(payment)))


def test_a_second_payment_is_refunded_in_one_click_and_the_enrollment_stays(
    staff: Client, sandbox: Sandbox
) -> None:
    """Decisions: double payment."""
    affiliate = make_affiliate()
    payment = buy(sandbox, affiliate)
    second = pay_again(sandbox, payment)
    assert second.review_reason == "duplicate"
    page = text_of(staff.get(url(second)))
    assert "This payment was set aside: no enrollment and no commission depends on it." in page
    form = prefilled(staff, second)
    assert (form["amount"], form["reason"]) == ("499.00", "duplicate")
    staff.post(url(second), form)
    assert (sums(second), sums(payment)) == ((49900, 0), (0, 49900))
    assert (Refund.objects.get().reason, Enrollment.objects.get().status) == ("duplicate", "paid")
    assert Balance.objects.get().pending == 4990


@pytest.mark.parametrize(
    ("currency", "received", "shown", "typed"),
    [
        ("usd", 10000, "$100.00", "100.00"),
        ("jpy", 4990, "¥4,990", "4990"),
        ("sek", 4990, "4990 SEK", "4990"),
    ],
)
def test_a_payment_of_another_amount_or_currency_is_refunded_as_it_was_received(
    staff: Client, sandbox: Sandbox, currency: str, received: int, shown: str, typed: str
) -> None:
    visitor = Client()
    visitor.post(
        f"/checkout/{make_course(price=49900).slug}/",
        {"email": "buyer@example.com", "accept_terms": "on"},
    )
    payment = pay(sandbox, Payment.objects.get(), amount_total=received, currency=currency)
    assert payment.review_reason == "amount_mismatch"
    assert prefilled(staff, payment)["amount"] == typed
    assert f"{shown} refunded." in text_of(ask(staff, payment))
    refund = Refund.objects.get()
    assert (refund.amount, refund.currency, refund.status) == (received, currency, "succeeded")


def test_a_full_refund_reinstates_the_coupon_where_staff_say_so(
    staff: Client, sandbox: Sandbox
) -> None:
    grant = make_coupon(percent=50)
    payment = buy(sandbox, course=grant.course, email=HOLDER, coupon=grant.code)
    page = text_of(staff.get(url(payment)))
    assert "Reinstate the coupon" in page
    assert "The coupon stays used." in page
    ask(staff, payment, gives_coupon_back="on")
    grant.refresh_from_db()
    assert (grant.status, Refund.objects.get().gives_coupon_back) == ("approved", True)


def test_the_coupon_stays_used_unless_staff_say_so(staff: Client, sandbox: Sandbox) -> None:
    grant = make_coupon(percent=50)
    payment = buy(sandbox, course=grant.course, email=HOLDER, coupon=grant.code)
    refused = ask(staff, payment, amount="10.00", gives_coupon_back="on")
    assert "Only with a refund of all that is left." in text_of(refused)
    assert Refund.objects.count() == 0
    ask(staff, payment)
    grant.refresh_from_db()
    assert (grant.status, Enrollment.objects.get().status) == ("redeemed", "refunded")


def test_without_a_coupon_there_is_none_to_reinstate(staff: Client, sandbox: Sandbox) -> None:
    payment = buy(sandbox)
    assert "coupon" not in text_of(staff.get(url(payment)))
    ask(staff, payment, gives_coupon_back="on")
    assert not Refund.objects.get().gives_coupon_back


# --- what it shows --------------------------------------------------------------------------------
def test_looking_at_the_page_changes_nothing(staff: Client, sandbox: Sandbox) -> None:
    payment = buy(sandbox)
    page = staff.get(url(payment))
    assert page.status_code == 200
    for text in ("buyer@example.com", payment.enrollment.course_title, "$499.00", "Left"):
        assert text in text_of(page)
    assert (Refund.objects.count(), LogEntry.objects.count(), sums(payment)) == (0, 0, (0, 49900))
    assert sandbox.calls("stripe", "POST /v1/refunds") == []


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        (
            "499.00",
            [
                "The enrollment ends, and access is revoked.",
                "$49.90 of the commission of $49.90 for Ada's club",
            ],
        ),
        ("166.33", ["The enrollment stays.", "$16.63 of the commission of $49.90"]),
        ("499.01", ["Nothing: that is not an amount that can be refunded."]),
        ("nonsense", ["Nothing: that is not an amount that can be refunded."]),
    ],
)
def test_the_preview_shows_what_follows_and_changes_nothing(
    staff: Client, sandbox: Sandbox, amount: str, said: list[str]
) -> None:
    payment = buy(sandbox, make_affiliate())
    page = preview(staff, payment, amount)
    assert [sentence for sentence in said if sentence not in page] == []
    assert ("buyer@example.com gets an e-mail" in page) == (amount in ("499.00", "166.33"))
    assert (Refund.objects.count(), sums(payment)) == (0, (0, 49900))


@pytest.mark.parametrize(
    ("amount", "heading"),
    [
        ("499.00", "What follows a refund of $499.00<"),
        ("166.33", "What follows a refund of $166.33<"),
        ("nonsense", "What follows<"),
    ],
)
def test_the_preview_says_which_amount_it_is_about(
    staff: Client, sandbox: Sandbox, amount: str, heading: str
) -> None:
    assert heading in preview(staff, buy(sandbox), amount)


@pytest.mark.parametrize("button", ["preview", "refund"])
def test_an_amount_that_is_too_much_is_marked_in_its_field(
    staff: Client, sandbox: Sandbox, button: str
) -> None:
    payment = buy(sandbox)
    form = {name: value for name, value in prefilled(staff, payment).items() if name != "refund"}
    answer = staff.post(url(payment), {**form, "amount": "9999", button: "1"})
    assert answer.context["form"].errors == {"amount": [TOO_MUCH]}
    assert text_of(answer).count(TOO_MUCH) == 1
    assert sums(payment) == (0, 49900)


@pytest.mark.parametrize("part", ["0.01", "0.05", "166.33", "249.50", "333.33", "498.95", "498.96"])
def test_the_commission_is_reversed_by_what_the_preview_said(
    staff: Client, sandbox: Sandbox, part: str
) -> None:
    payment = buy(sandbox, make_affiliate())
    ask(staff, payment, amount="0.04")
    before = Balance.objects.get().pending
    said = re.search(r"\$([0-9]+\.[0-9]{2}) of the commission", preview(staff, payment, part))
    ask(staff, payment, amount=part)
    step = before - Balance.objects.get().pending
    assert read_units(said[1] if said else "0", 2) == step


# --- twice, at once, not at all -------------------------------------------------------------------
@pytest.mark.every_engine
def test_a_form_that_is_sent_twice_refunds_once(staff: Client, sandbox: Sandbox) -> None:
    payment = buy(sandbox)
    form = {**prefilled(staff, payment), "amount": "100.00"}
    staff.post(url(payment), form)
    again = staff.post(url(payment), form, follow=True)
    assert SENT_BEFORE in text_of(again)
    changed = staff.post(url(payment), {**form, "amount": "200.00"}, follow=True)
    assert SENT_BEFORE in text_of(changed)
    assert (sums(payment), Refund.objects.count(), LogEntry.objects.count()) == (
        (10000, 39900),
        1,
        1,
    )
    assert len(sandbox.calls("stripe", "POST /v1/refunds")) == 1


@pytest.mark.every_engine
def test_a_double_click_on_a_partial_refund_refunds_once(staff: Client, sandbox: Sandbox) -> None:
    payment = buy(sandbox)
    form = {**prefilled(staff, payment), "amount": "100.00"}
    answers = race(lambda _: signed_in(BOSS).post(url(payment), form).status_code, threads=4)
    assert answers == [302] * 4
    assert (sums(payment), Refund.objects.count(), LogEntry.objects.count()) == (
        (10000, 39900),
        1,
        1,
    )


@pytest.mark.every_engine
def test_of_two_staff_at_once_one_refunds_and_the_other_is_refused(
    staff: Client, sandbox: Sandbox
) -> None:
    payment = buy(sandbox)
    forms = [prefilled(staff, payment) for _ in range(2)]
    answers = race(lambda number: signed_in(BOSS).post(url(payment), forms[number]), threads=2)
    assert sorted(answer.status_code for answer in answers) == [200, 302]
    refused = next(answer for answer in answers if answer.status_code == 200)
    assert TOO_MUCH in text_of(refused)
    assert refused.context["facts"][-1] == ("Left", "$0.00")
    assert (sums(payment), Refund.objects.count(), LogEntry.objects.count()) == ((49900, 0), 1, 1)


def test_the_second_of_two_full_refunds_is_refused_with_a_sentence(
    staff: Client, sandbox: Sandbox
) -> None:
    payment = buy(sandbox)
    late = prefilled(staff, payment)
    ask(staff, payment)
    answer = staff.post(url(payment), late)
    assert TOO_MUCH in text_of(answer)
    assert (answer.status_code, sums(payment), Refund.objects.count()) == (200, (49900, 0), 1)


@pytest.mark.every_engine
def test_a_key_of_another_payments_refund_refunds_nothing(staff: Client, sandbox: Sandbox) -> None:
    first, second = buy(sandbox), buy(sandbox, email="other@example.com")
    form = prefilled(staff, first)
    staff.post(url(first), {**form, "amount": "1.00"})
    staff.post(url(second), {**form, "amount": "1.00"})
    assert (sums(first), sums(second), Refund.objects.count()) == ((100, 49800), (0, 49900), 1)


NO_AMOUNTS = [
    "499.01",
    "0",
    "0.00",
    "-1.00",
    "1e3",
    "12.345",
    "NaN",
    "inf",
    "",
    "   ",
    "$10",
    "10 EUR",
    "1,000.00",
    "12,50",
    "١٢",
    "12.",
    ".5",
    "9" * 30,
]


def test_an_amount_that_is_none_is_refused_and_changes_nothing(
    staff: Client, sandbox: Sandbox
) -> None:
    payment = buy(sandbox, make_affiliate())
    for amount in NO_AMOUNTS:
        answer = ask(staff, payment, amount=amount)
        assert (answer.status_code, answer.redirect_chain) == (200, []), amount
        assert answer.context["form"].errors, amount
        written = Refund.objects.count(), LogEntry.objects.count(), sums(payment)
        assert written == (0, 0, (0, 49900)), amount
        assert Balance.objects.get().pending == 4990, amount
        assert sandbox.calls("stripe", "POST /v1/refunds") == [], amount


NOT_OURS = [
    {"reason": "fraudulent"},
    {"reason": ""},
    {"key": ""},
    {"key": "not-a-uuid"},
    {"note": "x" * 301},
]


def test_a_form_that_is_not_ours_is_refused(staff: Client, sandbox: Sandbox) -> None:
    payment = buy(sandbox)
    for changes in NOT_OURS:
        answer = ask(staff, payment, **changes)
        written = answer.status_code, Refund.objects.count(), sums(payment)
        assert written == (200, 0, (0, 49900)), changes


@pytest.mark.parametrize("typed", ["12.5", " 12.50 ", "012.50"])
def test_amounts_are_read_exactly(typed: str) -> None:
    assert read_units(typed, 2) == 1250
    assert plain_amount(1250, "usd") == "12.50"


def test_an_unpaid_payment_is_not_refunded(staff: Client) -> None:
    _, payment = make_pending()
    form = {"refund": "1", "key": str(uuid.uuid4()), "amount": "1.00", "reason": "duplicate"}
    answer = staff.post(url(payment), form)
    assert "cannot be refunded: it was not received" in text_of(answer)
    assert (
        answer.status_code,
        Refund.objects.count(),
        LogEntry.objects.count(),
        sums(payment),
    ) == (200, 0, 0, (0, 0))


# --- Stripe's answers -----------------------------------------------------------------------------
def test_while_stripe_is_down_the_refund_is_requested_and_made_later(
    staff: Client, sandbox: Sandbox, settings
) -> None:
    payment = buy(sandbox, make_affiliate())
    sandbox.fault("stripe", "down")
    answer = ask(staff, payment)
    assert "$499.00 requested. Stripe did not answer; it will be confirmed by itself" in text_of(
        answer
    )
    assert (Refund.objects.get().status, sums(payment), Enrollment.objects.get().status) == (
        "requested",
        (49900, 0),
        "paid",
    )
    assert LogEntry.objects.count() == 1
    sandbox.heal()
    settings.REFUND_RESUME_AFTER = -settings.REFUND_RESUME_AFTER
    assert refund_requests.resume_requested() == 1
    assert (Refund.objects.get().status, Enrollment.objects.get().status) == (
        "succeeded",
        "refunded",
    )
    assert len(sandbox.book("refunds")) == 1


@pytest.mark.every_engine
def test_an_answer_that_was_lost_is_not_a_second_refund(
    staff: Client, sandbox: Sandbox, settings
) -> None:
    payment = buy(sandbox)
    sandbox.fault("stripe", "lost_answer", "POST /v1/refunds", times=1)
    form = {**prefilled(staff, payment), "amount": "100.00"}
    assert "$100.00 requested" in text_of(staff.post(url(payment), form, follow=True))
    assert SENT_BEFORE in text_of(staff.post(url(payment), form, follow=True))
    settings.REFUND_RESUME_AFTER = -settings.REFUND_RESUME_AFTER
    assert refund_requests.resume_requested() == 1
    assert (Refund.objects.get().status, sums(payment), len(sandbox.book("refunds"))) == (
        "succeeded",
        (10000, 39900),
        1,
    )


def test_a_refund_that_the_bank_takes_its_time_for_is_on_its_way(
    staff: Client, sandbox: Sandbox
) -> None:
    payment = buy(sandbox)
    sandbox.stripe(refund_status="pending")
    assert "$499.00 accepted by Stripe, and on its way to the buyer." in text_of(
        ask(staff, payment)
    )
    assert (Refund.objects.get().status, Enrollment.objects.get().status) == ("pending", "paid")
    assert "Requested, not yet confirmed" in text_of(staff.get(url(payment)))


def test_a_disputed_payment_is_refused_in_words_and_stays_refundable(
    staff: Client, sandbox: Sandbox
) -> None:
    payment = buy(sandbox, make_affiliate())
    sandbox.dispute(payment.stripe_payment_intent_id)
    answer = ask(staff, payment)
    assert "The buyer's bank disputes this payment, so Stripe refunds nothing" in text_of(answer)
    assert (Refund.objects.get().status, sums(payment), Enrollment.objects.get().status) == (
        "failed",
        (0, 49900),
        "paid",
    )
    assert (LogEntry.objects.count(), Balance.objects.get().pending) == (0, 4990)
    first = Refund.objects.get().pk
    assert prefilled(staff, payment)["key"] != str(first)
    assert answer.context["form"]["key"].value() != str(first)


def test_what_stripe_has_refunded_already_is_said(staff: Client, sandbox: Sandbox) -> None:
    payment = buy(sandbox)
    sandbox.refund_in_dashboard(payment.stripe_payment_intent_id)
    assert "All of it has been refunded in Stripe already" in text_of(ask(staff, payment))
    assert (Refund.objects.get().status, sums(payment)) == ("failed", (0, 49900))


# --- who may, and what there is to see ------------------------------------------------------------
def test_staff_without_the_permission_get_403_and_change_nothing(
    staff: Client, sandbox: Sandbox
) -> None:
    payment = buy(sandbox)
    form = prefilled(staff, payment)
    clerk = member("view_payment", "view_enrollment", "repair_enrollment")
    assert clerk.get(url(payment)).status_code == 403
    assert clerk.post(url(payment), form).status_code == 403
    assert (
        clerk.get(f"/admin/enrollments/enrollment/{payment.enrollment_id}/refund/").status_code
        == 403
    )
    assert url(payment) not in text_of(clerk.get(f"/admin/payments/payment/{payment.pk}/change/"))
    assert (Refund.objects.count(), LogEntry.objects.count(), sums(payment)) == (0, 0, (0, 49900))


def test_staff_with_the_permission_can_refund(staff: Client, sandbox: Sandbox) -> None:
    payment = buy(sandbox)
    answer = ask(member("view_enrollment", "refund_payment"), payment)
    assert answer.redirect_chain == [
        (f"/admin/enrollments/enrollment/{payment.enrollment_id}/change/", 302)
    ]
    assert (Refund.objects.get().requested_by, sums(payment)) == ("clerk@example.com", (49900, 0))


def test_a_learner_cannot_refund(staff: Client, sandbox: Sandbox) -> None:
    payment = buy(sandbox)
    form = prefilled(staff, payment)
    User.objects.create_user("learner@example.com", "a long enough passphrase")
    for client in (Client(), signed_in("learner@example.com")):
        assert client.post(url(payment), form).status_code in (302, 403)
    assert Refund.objects.count() == 0


def test_a_forged_request_is_refused(staff: Client, sandbox: Sandbox) -> None:
    payment = buy(sandbox)
    form = prefilled(staff, payment)
    assert signed_in(BOSS, enforce_csrf_checks=True).post(url(payment), form).status_code == 403
    assert Refund.objects.count() == 0


@pytest.mark.parametrize("wrong", ["nonsense", "00000000-0000-0000-0000-000000000000"])
def test_a_payment_that_is_not_there_is_not_found(staff: Client, wrong: str) -> None:
    for model in ("payments/payment", "enrollments/enrollment"):
        assert staff.get(f"/admin/{model}/{wrong}/refund/").status_code == 404


@pytest.mark.every_engine
def test_refunds_and_disputes_are_listed_found_by_stripes_ids_and_read_only(staff: Client) -> None:
    enrollment, payment = sell(Client(), make_affiliate())
    deliver(Client(), refunded(refund_of(payment, 100)))
    deliver(Client(), disputed(dispute_of(payment)))
    refund, dispute = Refund.objects.get(), Dispute.objects.get()
    make_pending()
    for row, model, stripe_id in (
        (refund, "refund", refund.stripe_refund_id),
        (dispute, "dispute", dispute.stripe_dispute_id),
    ):
        page = f"/admin/payments/{model}/"
        for text in (
            stripe_id,
            payment.stripe_payment_intent_id,
            enrollment.email,
            str(enrollment.pk),
            str(payment.pk),
        ):
            assert [
                found.pk for found in staff.get(page, {"q": text}).context["cl"].result_list
            ] == [row.pk], text
        assert list(staff.get(page, {"q": "nobody@example.com"}).context["cl"].result_list) == []
        shown = text_of(staff.get(f"{page}{row.pk}/change/"))
        assert f"/admin/enrollments/enrollment/{enrollment.pk}/change/" in shown
        assert staff.get(f"{page}add/").status_code == 403
        assert staff.post(f"{page}{row.pk}/change/", {"status": "succeeded"}).status_code == 403
        assert staff.post(f"{page}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    shown = text_of(staff.get(f"/admin/payments/payment/{payment.pk}/change/"))
    assert refund.stripe_refund_id in shown
    assert dispute.stripe_dispute_id in shown


def test_refunds_that_wait_for_their_sale_are_listed_too(staff: Client) -> None:
    _, payment = make_pending()
    deliver(Client(), refunded(refund_of(payment, 100)))
    for model in ("refund", "payment"):
        assert staff.get(f"/admin/payments/{model}/").status_code == 200
    assert staff.get(f"/admin/payments/refund/{Refund.objects.get().pk}/change/").status_code == 200
    deliver(Client(), completed(payment))


@pytest.mark.parametrize(
    "model",
    ["payments/refund", "payments/dispute", "affiliates/affiliate", "affiliates/fraudsignal"],
)
def test_a_list_asks_as_often_for_many_rows_as_for_one(staff: Client, model: str) -> None:
    asked = []
    for number in range(3):
        affiliate = make_affiliate(f"a{number}@example.com")
        FraudSignal.objects.create(
            affiliate=affiliate, kind="same_device", dedupe_key=str(number), detail="Course one"
        )
        _, payment = sell(Client(), affiliate)
        deliver(Client(), refunded(refund_of(payment, 100)))
        deliver(Client(), disputed(dispute_of(payment)))
        staff.get(f"/admin/{model}/")
        with statements() as found:
            staff.get(f"/admin/{model}/")
        asked.append(len(found))
    assert asked == [asked[0]] * 3
