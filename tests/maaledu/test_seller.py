"""Who sells is said in the footer, in mails, on invoices, on About, and to staff."""

import pytest
from django.conf import settings as django_settings
from django.test import Client
from pytest_django.fixtures import Settings

from maaledu import seller
from notifications.models import Email
from notifications.outgoing import compose
from payments import checkout_sessions
from tests.factories import make_pending

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
IMPRINT = "Ada & Co. <Ltd>, 2 High Street, London · Tax\xa0ID\xa0GB123 · +44\xa020\xa01234"


@pytest.fixture(autouse=True)
def _company(settings: Settings) -> None:
    settings.COMPANY_NAME, settings.COMPANY_TAX_ID = "Ada & Co. <Ltd>", "GB123"
    settings.COMPANY_ADDRESS, settings.COMPANY_PHONE = "2 High Street; London;", "+44 20 1234"


def test_it_is_one_line_of_what_is_set(settings: Settings) -> None:
    assert seller.imprint() == IMPRINT
    settings.COMPANY_TAX_ID = settings.COMPANY_PHONE = settings.COMPANY_ADDRESS = ""
    assert seller.imprint() == "Ada & Co. <Ltd>"


@pytest.mark.parametrize("address", ["/", "/help/", "/about/", "/accounts/login/", "/nothing/"])
def test_every_page_says_it(client: Client, address: str) -> None:
    page = client.get(address).content.decode()
    assert "Ada &amp; Co. &lt;Ltd&gt;, 2 High Street, London" in page
    assert 'href="/about/"' in page


def test_about_says_it_line_by_line(client: Client) -> None:
    page = client.get("/about/").content.decode()
    assert "2 High Street<br>London" in page
    assert 'href="tel:+44201234"' in page
    assert f"mailto:{django_settings.SUPPORT_EMAIL}" in page


def test_every_mail_says_it_as_text_and_as_html() -> None:
    message = compose(Email(kind="purchase_confirmation", to="a@example.com", context={}))
    assert message.body.rstrip().endswith(IMPRINT)
    assert "Ada &amp; Co. &lt;Ltd&gt;, 2 High Street" in message.alternatives[0][0]


def test_an_invoice_says_it_and_a_receipt_alone_asks_for_nothing(settings: Settings) -> None:
    enrollment, payment = make_pending()
    assert "invoice_creation" not in checkout_sessions.session_params(enrollment, payment)
    settings.STRIPE_INVOICES = True
    asked = checkout_sessions.session_params(enrollment, payment)["invoice_creation"]
    assert asked == {"enabled": True, "invoice_data": {"footer": IMPRINT}}


def test_staff_see_it_and_what_is_still_the_examples(
    client: Client, django_user_model, settings: Settings
) -> None:
    assert client.get("/admin/seller/").status_code == 302
    user = django_user_model.objects.create_user(
        "staff@example.org", "correct horse", is_staff=True
    )
    client.force_login(user)
    page = client.get("/admin/seller/").content.decode()
    assert "COMPANY_ADDRESS" in page
    assert "Ada &amp; Co. &lt;Ltd&gt;" in page
    assert "Set SUPPORT_EMAIL to an address of yours" in page
    settings.SUPPORT_EMAIL = "help@example.com"
    assert "Before the shop may sell" not in client.get("/admin/seller/").content.decode()
    assert client.post("/admin/seller/").status_code == 405
    assert 'href="/admin/seller/"' in client.get("/admin/").content.decode()
