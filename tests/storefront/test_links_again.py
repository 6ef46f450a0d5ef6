"""Send me my link again: the same answer for any address, and only ever mailed to it (fault E2)."""

import pytest
from django.test import Client

from notifications.models import Email
from notifications.outgoing import compose
from tests.factories import completed, deliver, make_course, make_pending
from tests.grants.make import make_coupon

pytestmark = pytest.mark.any_engine
PAGE = "/links/"
HOLDER = "holder@example.com"


def ask(email: str, **extra):
    return Client().post(PAGE, {"email": email}, **extra)


@pytest.mark.every_engine
@pytest.mark.breaks_invariants
def test_links_go_to_the_address_they_belong_to_and_the_answer_says_nothing(client: Client) -> None:
    enrollment, payment = make_pending(make_course(title="Über نحو"), email=HOLDER)
    deliver(client, completed(payment))
    over, _ = make_pending(email=HOLDER, status="expired")
    grant = make_coupon(email=HOLDER)
    Email.objects.all().delete()
    answers = [ask(" Holder@Example.com "), ask("nobody@example.com")]
    assert {(each.status_code, each["Location"], each.content) for each in answers} == {
        (302, "/links/?sent=1", b"")
    }
    message = compose(Email.objects.get())
    assert message.to == [HOLDER]
    assert enrollment.status_link in message.body
    assert f"/grants/{grant.token}/" in message.body
    assert over.token not in message.body
    page = Client().get("/links/?sent=1").text
    assert "is on its way to it" in page
    assert HOLDER not in page


def test_many_requests_send_one_message_and_are_limited(client: Client, db: None) -> None:
    make_pending(email=HOLDER)
    answers = [ask(HOLDER, REMOTE_ADDR=f"203.0.113.{n}") for n in range(4)]
    assert [answer.status_code for answer in answers] == [302, 302, 302, 429]
    assert "Try again in" in answers[-1].text
    assert Email.objects.filter(kind="links_again").count() == 1
    others = [ask(f"n{n}@example.com").status_code for n in range(6)]
    assert others == [302] * 5 + [429]


def test_an_address_that_is_none_is_refused_at_its_field(client: Client, db: None) -> None:
    page = ask("nobody")
    assert (page.status_code, Email.objects.count()) == (400, 0)
    assert "Enter a valid e-mail address." in page.text


def test_the_ways_to_it(client: Client, db: None) -> None:
    course = make_course()
    lost = client.get("/enrollments/x/")
    assert lost.status_code == 404
    for page in (lost, client.get("/help/"), client.get(f"/checkout/{course.slug}/")):
        assert 'href="/links/"' in page.text
    assert 'href="/links/"' not in client.get("/nowhere").text
