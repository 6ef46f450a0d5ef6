"""Messages about sales: by choice, one for each sale or one a day, and each once."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from affiliates import sale_mails
from affiliates.models import Affiliate, Commission
from notifications.models import Email
from notifications.outgoing import compose
from operations import heartbeats
from operations.management.commands import nightly
from tests.affiliates.history import signed_in
from tests.affiliates.make import make_affiliate, make_referred, sell
from tests.factories import completed, deliver, make_course

pytestmark = pytest.mark.django_db
PAGE = "/affiliates/sale-mails/"


def wanting(choice: str) -> Affiliate:
    affiliate = make_affiliate()
    assert signed_in(affiliate).post(PAGE, {"sale_mails": choice}).status_code == 302
    affiliate.refresh_from_db()
    assert affiliate.sale_mails == choice
    return affiliate


def mails() -> list[Email]:
    return list(Email.objects.filter(kind__startswith="affiliate_sale").order_by("created_at"))


def test_each_sale_has_one_message_however_often_stripe_reports_it(client: Client) -> None:
    affiliate = wanting("each")
    course = make_course(title="Data نحو", price=49900)
    _, payment = make_referred(affiliate, course, mails_affiliate=True)
    for _ in range(3):
        assert deliver(client, completed(payment)).status_code == 200
    [mail] = mails()
    message = compose(mail)
    assert (mail.to, "$49.90" in message.subject) == (affiliate.user.email, True)
    assert "\u2068Data نحو\u2069" in message.body
    assert "buyer" not in message.body.replace("somebody", "")


def test_the_checkout_keeps_what_the_affiliate_wanted(client: Client) -> None:
    affiliate, quiet = wanting("each"), make_affiliate()
    course = make_course(price=0)
    for number, who in enumerate((affiliate, quiet)):
        visitor = Client(headers={"user-agent": "Mozilla/5.0"})
        visitor.get(f"/?ref={who.code}")
        form = {"email": f"n{number}@example.com", "accept_terms": "on"}
        assert visitor.post(f"/checkout/{course.slug}/", form).status_code == 302
    kept = course.enrollments.order_by("email").values_list("mails_affiliate", flat=True)
    assert list(kept) == [True, False]
    assert mails() == [], "a free course earns nothing"


def test_one_a_day_has_the_sales_of_that_day_and_is_sent_once(client: Client) -> None:
    affiliate, quiet = wanting("daily"), make_affiliate()
    for who in (affiliate, affiliate, quiet):
        sell(client, who)
    assert mails() == []
    assert sale_mails.stage_daily() == 0, "the day is not over"
    Commission.objects.update(created_at=timezone.now() - timedelta(days=1))
    assert [sale_mails.stage_daily(), sale_mails.stage_daily()] == [1, 0]
    [mail] = mails()
    assert (mail.to, len(mail.context["sales"])) == (affiliate.user.email, 2)
    assert compose(mail).body.count("$49.90") == 2


def test_after_nights_that_were_not_run_each_day_has_its_message(client: Client) -> None:
    affiliate, now = wanting("daily"), timezone.now()
    for days in (3, 2):
        sell(client, affiliate)
        sold = Commission.objects.filter(created_at__gte=now)
        sold.update(created_at=now - timedelta(days=days))
    heartbeats.note(heartbeats.NIGHTLY, at=now - timedelta(days=3))
    assert [nightly.mail_sales(), nightly.mail_sales()] == [2, 0]
    heartbeats.note(heartbeats.NIGHTLY, at=now)
    assert nightly.mail_sales() == 0


@pytest.mark.any_engine
def test_nobody_gets_one_without_asking_and_an_odd_choice_is_refused(client: Client) -> None:
    affiliate = make_affiliate()
    sell(client, affiliate)
    assert mails() == []
    assert signed_in(affiliate).post(PAGE, {"sale_mails": "hourly"}).status_code == 400
    affiliate.refresh_from_db()
    assert affiliate.sale_mails == Affiliate.NEVER
    assert client.post(PAGE, {"sale_mails": "each"}).status_code == 302
    assert 'value="never" selected' in signed_in(affiliate).get("/affiliates/dashboard/").text
