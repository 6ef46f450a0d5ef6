"""Receipts, invoices and automatic tax: what is on them, and what stays as asked."""

import pytest
import requests
import stripe

from tests.sandbox.conftest import always_sent
from tests.sandbox_client import wait_until

pytestmark = pytest.mark.no_database
VAT = {"type": "eu_vat", "value": "DE123456789"}


@pytest.fixture
def invoiced(order):
    return {**order, "invoice_creation": {"enabled": True}, "tax_id_collection": {"enabled": True}}


def taxed(order, behavior):
    item = order["line_items"][0]
    price = {**item["price_data"], "tax_behavior": behavior}
    return {
        **order,
        "line_items": [{**item, "price_data": price}],
        "automatic_tax": {"enabled": True},
    }


def test_a_charge_has_a_receipt_and_the_address_it_goes_to(sandbox, client, order):
    order["payment_intent_data"] = {"receipt_email": "lea@x.test"}
    session = client.v1.checkout.sessions.create(order)
    sandbox.pay(session.id)
    paid = client.v1.checkout.sessions.retrieve(
        session.id, {"expand": ["payment_intent.latest_charge"]}
    )
    assert paid.payment_intent.receipt_email == "lea@x.test"
    charge = paid.payment_intent.latest_charge
    assert charge.receipt_email == "lea@x.test"
    assert charge.receipt_url == f"{sandbox.url}/papers/receipts/{charge.id}"
    page = requests.get(charge.receipt_url, timeout=10)
    assert (page.status_code, "49.00 USD" in page.text) == (200, True)
    assert sandbox.mails() == []


def test_a_charge_that_failed_has_no_receipt(sandbox, client, order):
    sandbox.pay(client.v1.checkout.sessions.create(order).id, "declined")
    [charge] = sandbox.book("charges")
    assert charge["receipt_url"] is None
    page = requests.get(f"{sandbox.url}/papers/receipts/{charge['id']}", timeout=10)
    assert page.status_code == 404


def test_a_wrong_address_for_the_receipt_is_refused(client, order):
    order["payment_intent_data"] = {"receipt_email": "lea@localhost"}
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.create(order)
    assert (caught.value.code, caught.value.param) == (
        "email_invalid",
        "payment_intent_data[receipt_email]",
    )


def test_an_invoice_is_on_the_session_before_its_event(sandbox, client, invoiced, endpoint):
    session = client.v1.checkout.sessions.create(invoiced)
    assert (session.invoice_creation.enabled, session.tax_id_collection.enabled) == (True, True)
    assert session.invoice is None
    sandbox.pay(session.id, business_name="Lea GmbH", tax_ids=[VAT], wait=5)
    [completed] = endpoint.objects("checkout.session.completed")
    invoice = client.v1.invoices.retrieve(completed["invoice"])
    assert always_sent(stripe.Invoice) <= set(invoice.to_dict())
    assert (invoice.status, invoice.total, invoice.amount_paid, invoice.currency) == (
        "paid",
        4900,
        4900,
        "usd",
    )
    assert (invoice.customer_name, invoice.customer_email, invoice.account_name) == (
        "Lea GmbH",
        "lea@x.test",
        "Sandbox Shop",
    )
    assert [tax_id.to_dict() for tax_id in invoice.customer_tax_ids] == [VAT]
    assert [line.description for line in invoice.lines.data] == ["Data Analysis"]
    assert completed["customer"] == invoice.customer


def test_an_invoice_can_be_read_and_downloaded(sandbox, client, invoiced):
    session = client.v1.checkout.sessions.create(invoiced)
    sandbox.pay(session.id, business_name="Müller (Bau)", tax_ids=[VAT])
    found = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["invoice"]}).invoice
    page = requests.get(found.hosted_invoice_url, timeout=10).text
    for text in (found.number, "Sandbox Shop", "Müller (Bau)", "DE123456789", "49.00 USD"):
        assert text in page
    pdf = requests.get(found.invoice_pdf, timeout=10)
    assert pdf.headers["Content-Type"] == "application/pdf"
    assert pdf.content.startswith(b"%PDF-1.4\n")
    assert pdf.content.endswith(b"%%EOF\n")
    index = int(pdf.content.split(b"startxref\n")[1].split()[0])
    assert pdf.content[index:].startswith(b"xref\n0 6\n")
    assert b"(Invoice number: SANDBOX-0001) Tj" in pdf.content
    assert "Müller \\(Bau\\)".encode("latin-1") in pdf.content


def test_without_being_asked_for_there_is_no_invoice(sandbox, client, order):
    session = client.v1.checkout.sessions.create(order)
    sandbox.pay(session.id)
    assert client.v1.checkout.sessions.retrieve(session.id).invoice is None
    assert client.v1.invoices.list().data == []
    assert requests.get(f"{sandbox.url}/papers/invoices/in_none", timeout=10).status_code == 404


def test_a_debit_has_its_invoice_when_it_succeeds(sandbox, client, invoiced, endpoint):
    session = client.v1.checkout.sessions.create(invoiced)
    sandbox.pay(session.id, "delayed_success", delay=3600, wait=5)
    assert endpoint.objects("checkout.session.completed")[0]["invoice"] is None
    sandbox.advance(3601)
    wait_until(lambda: endpoint.objects("checkout.session.async_payment_succeeded"))
    [invoice] = client.v1.invoices.list({"status": "paid"}).data
    [succeeded] = endpoint.objects("checkout.session.async_payment_succeeded")
    assert succeeded["invoice"] == invoice.id


def test_a_tax_inside_the_price_leaves_the_total_as_asked(sandbox, client, invoiced):
    session = client.v1.checkout.sessions.create(taxed(invoiced, "inclusive"))
    assert session.automatic_tax.status == "requires_location_inputs"
    sandbox.pay(session.id)
    paid = client.v1.checkout.sessions.retrieve(
        session.id, {"expand": ["invoice", "line_items", "payment_intent"]}
    )
    assert (paid.amount_total, paid.amount_subtotal, paid.total_details.amount_tax) == (
        4900,
        4900,
        817,
    )
    assert paid.automatic_tax.status == "complete"
    assert paid.payment_intent.amount_received == 4900
    assert [(item.amount_tax, item.amount_total) for item in paid.line_items.data] == [(817, 4900)]
    assert (paid.invoice.total, paid.invoice.total_excluding_tax) == (4900, 4083)


@pytest.mark.parametrize("behavior", ["exclusive", "unspecified"])
def test_a_tax_on_top_of_the_price_changes_the_total(sandbox, client, order, behavior):
    sandbox.account(tax_percent=5)
    session = client.v1.checkout.sessions.create(taxed(order, behavior))
    assert session.amount_total == 4900
    sandbox.pay(session.id)
    paid = client.v1.checkout.sessions.retrieve(session.id)
    assert (paid.amount_total, paid.amount_subtotal, paid.total_details.amount_tax) == (
        5145,
        4900,
        245,
    )


def test_a_declined_try_does_not_add_the_tax_twice(sandbox, client, order):
    session = client.v1.checkout.sessions.create(taxed(order, "exclusive"))
    sandbox.pay(session.id, "declined")
    sandbox.pay(session.id)
    assert client.v1.checkout.sessions.retrieve(session.id).amount_total == 5880


def test_tax_needs_an_account_that_is_set_up_for_it(sandbox, client, order):
    sandbox.account(tax_active=False)
    with pytest.raises(stripe.InvalidRequestError, match="valid head office address") as caught:
        client.v1.checkout.sessions.create(taxed(order, "inclusive"))
    assert (caught.value.code, caught.value.http_status) == (None, 400)
    assert client.v1.checkout.sessions.create(order).status == "open"
