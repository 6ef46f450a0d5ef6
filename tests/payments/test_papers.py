"""What the buyer has on paper: asked for with the session, and shown by Stripe when wanted."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import User
from enrollments.models import Enrollment
from payments import checkout_sessions
from payments.models import Payment
from tests.factories import deliver, make_course, make_pending, refund_of, refunded
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.any_engine

EMAIL = "ada@example.com"


def start(price: int = 49900) -> Payment:
    form = {"email": EMAIL, "accept_terms": "on"}
    assert Client().post(f"/checkout/{make_course(price=price).slug}/", form).status_code == 302
    return Payment.objects.get()


def buy(sandbox: Sandbox, outcome: str = "paid", **more: object) -> Payment:
    payment = start()
    sandbox.pay(payment.stripe_session_id, outcome, **more)
    checkout_sessions.ask_stripe(payment, actor="test")
    payment.refresh_from_db()
    return payment


def paper(payment: Payment, kind: str = "receipt"):
    return Client().get(f"{payment.enrollment.get_absolute_url()}papers/{kind}/")


def charge(sandbox: Sandbox) -> dict:
    return sandbox.book("charges")[-1]


def test_stripe_is_asked_to_e_mail_a_receipt_and_for_nothing_more(sandbox: Sandbox) -> None:
    payment = buy(sandbox)
    session = sandbox.sessions()[0]
    assert charge(sandbox)["receipt_email"] == EMAIL
    assert (session["invoice_creation"]["enabled"], session["automatic_tax"]["enabled"]) == (
        False,
        False,
    )
    params = checkout_sessions.session_params(payment.enrollment, payment)
    assert not {"invoice_creation", "tax_id_collection", "automatic_tax"} & set(params)


@pytest.mark.parametrize("percent", [5, 20, 25])
def test_tax_and_invoice_leave_the_price_that_the_page_showed(
    sandbox: Sandbox, settings, percent: int
) -> None:
    settings.STRIPE_INVOICES = settings.STRIPE_TAX = True
    sandbox.account(tax_percent=percent)
    payment = buy(sandbox, business_name="Ada GmbH")
    [session] = sandbox.sessions()
    assert (payment.status, payment.review_reason, payment.amount_received) == ("paid", "", 49900)
    assert (session["amount_total"], session["automatic_tax"]["status"]) == (49900, "complete")
    assert session["total_details"]["amount_tax"] > 0
    assert session["tax_id_collection"]["enabled"] is True
    answer = paper(payment, "invoice")
    assert (answer.status_code, answer["Location"]) == (
        302,
        f"{sandbox.url}/papers/invoices/{session['invoice']}",
    )


def test_the_receipt_is_where_stripe_says_it_is_at_that_moment(sandbox: Sandbox) -> None:
    payment = buy(sandbox)
    answer = paper(payment)
    assert (answer.status_code, answer["Location"]) == (302, charge(sandbox)["receipt_url"])
    assert "no-store" in answer["Cache-Control"]
    assert (
        Client().post(f"{payment.enrollment.get_absolute_url()}papers/receipt/").status_code == 405
    )


def test_status_page_and_my_courses_link_to_the_papers_there_are(
    sandbox: Sandbox, settings
) -> None:
    payment = buy(sandbox)
    address = payment.enrollment.get_absolute_url()
    user = User.objects.create_user(EMAIL, "a long enough passphrase")
    user.emailaddress_set.create(email=EMAIL, verified=True, primary=True)
    learner = Client()
    learner.force_login(user)
    for page in (address, f"{address}status/", "/account/"):
        html = learner.get(page).content.decode()
        assert f'href="{address}papers/receipt/"' in html
        assert "papers/invoice/" not in html
    settings.STRIPE_INVOICES = True
    assert f'href="{address}papers/invoice/"' in learner.get(address).content.decode()


@pytest.mark.every_engine
def test_what_is_not_paid_or_was_free_offers_no_papers(sandbox: Sandbox) -> None:
    enrollment, _ = make_pending()
    form = {"email": EMAIL, "accept_terms": "on"}
    Client().post(f"/checkout/{make_course(price=0).slug}/", form)
    for each in (enrollment, Enrollment.objects.get(kind="free")):
        address = each.get_absolute_url()
        assert "papers/" not in Client().get(address).content.decode()
        assert Client().get(f"{address}papers/receipt/").status_code == 404
    assert not [call for call in sandbox.calls("stripe", "GET") if "charge" in call["query"]]


@pytest.mark.every_engine
def test_what_the_old_platform_sold_without_a_session_offers_no_papers(sandbox: Sandbox) -> None:
    """Fault M8: a link that leads to nothing."""
    payment = buy(sandbox)
    Payment.objects.update(stripe_session_id=None)
    assert "papers/" not in Client().get(payment.enrollment.get_absolute_url()).text
    assert paper(payment).status_code == 404


def test_a_refunded_enrollment_keeps_its_receipt(sandbox: Sandbox) -> None:
    payment = buy(sandbox)
    refund = refund_of(payment, payment_intent=payment.stripe_payment_intent_id)
    deliver(Client(), refunded(refund))
    assert Enrollment.objects.get().status == "refunded"
    assert "papers/receipt/" in Client().get(payment.enrollment.get_absolute_url()).content.decode()
    assert paper(payment)["Location"] == charge(sandbox)["receipt_url"]


@pytest.mark.parametrize(
    ("kind", "token"), [("invoice", ""), ("payslip", ""), ("receipt", "x" * 32)]
)
def test_a_paper_that_there_is_not_is_not_found(sandbox: Sandbox, kind: str, token: str) -> None:
    payment = buy(sandbox)
    token = token or payment.enrollment.token
    answer = Client().get(f"/enrollments/{token}/papers/{kind}/")
    assert answer.status_code == 404
    assert "papers" not in answer.get("Location", "")


@pytest.mark.parametrize(
    ("mode", "status"),
    [
        ("503", 503),
        ("401", 503),
        ("reset", 503),
        ("html_200", 503),
        ("half_answer", 503),
        ("hang", 503),
    ],
)
def test_a_stripe_that_does_not_answer_is_said_on_a_page_in_bounded_time(
    sandbox: Sandbox, settings, mode: str, status: int
) -> None:
    payment = buy(sandbox)
    settings.STRIPE_INTERACTIVE_SECONDS = 0.5
    sandbox.fault("stripe", mode, "GET /v1/checkout/sessions", times=1)
    answer = paper(payment)
    assert answer.status_code == status
    html = answer.content.decode()
    assert "Payment service unavailable" in html
    assert f'href="{payment.enrollment.get_absolute_url()}"' in html


def test_a_key_that_may_not_read_charges_is_said_on_the_page(sandbox: Sandbox, settings) -> None:
    payment = buy(sandbox)
    sandbox.key("rk_test_few", ["checkout_session_write", "payment_intent_read"])
    settings.STRIPE_SECRET_KEY = "rk_test_few"
    answer = paper(payment)
    assert answer.status_code == 503
    assert "Payment service unavailable" in answer.content.decode()


@pytest.fixture
def payment_reader(db: None) -> Client:
    user = User.objects.create_user("clerk@example.com", "a long enough passphrase", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_payment"))
    client = Client()
    client.force_login(user)
    return client


def test_the_office_links_to_the_papers_of_each_payment(
    payment_reader: Client, sandbox: Sandbox
) -> None:
    payment = buy(sandbox)
    page = f"/admin/payments/payment/{payment.pk}"
    assert f'href="{page}/paper/receipt/"' in payment_reader.get(f"{page}/change/").content.decode()
    answer = payment_reader.get(f"{page}/paper/receipt/")
    assert (answer.status_code, answer["Location"]) == (302, charge(sandbox)["receipt_url"])
    missing = payment_reader.get(f"{page}/paper/invoice/", follow=True)
    assert missing.redirect_chain == [(f"{page}/change/", 302)]
    assert "has no such paper of this payment" in missing.content.decode()


def test_only_who_may_see_payments_gets_to_their_papers(
    payment_reader: Client, sandbox: Sandbox
) -> None:
    payment = buy(sandbox)
    page = f"/admin/payments/payment/{payment.pk}/paper/receipt/"
    asked = len(sandbox.calls("stripe", "GET"))
    User.objects.get(email="clerk@example.com").user_permissions.clear()
    assert payment_reader.get(page).status_code == 403
    assert Client().get(page)["Location"].startswith("/admin/login/")
    assert len(sandbox.calls("stripe", "GET")) == asked
