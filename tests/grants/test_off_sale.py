"""A course that goes off sale while coupons for it are unused (fault E6)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.signals import pre_save
from django.test import Client
from django.utils import timezone

from courses import publishing
from courses.models import Course
from grants import applications, moving, off_sale
from grants.applications import Decision
from grants.errors import InvalidDecision
from grants.models import Grant
from grants.reminders import send_reminders
from notifications.models import Email, UndeliverableAddress
from notifications.outgoing import compose
from operations.tasks import sweep
from tests.factories import COMPLETE, deliver, expired, make_course
from tests.grants.make import STAFF, buy_with, make_application, make_coupon, open_checkout, run_out

pytestmark = pytest.mark.django_db


def test_holders_are_told_once_and_not_reminded_while_it_is_off_sale() -> None:
    course, other = make_course(**COMPLETE), make_course()
    coupon, elsewhere = make_coupon(course), make_coupon(other, email="b@example.com")
    make_application(course, email="c@example.com")
    held = make_coupon(course, email="d@example.com")
    open_checkout(held)
    assert off_sale.unused_coupons(course) == 2
    assert off_sale.take_off_sale(course)
    assert not off_sale.take_off_sale(course)
    assert [off_sale.mail_holders() for _ in range(2)] == [1, 0]
    [mail] = Email.objects.filter(kind="grant_off_sale")
    message = compose(mail)
    assert (message.to, course.title in message.body) == ([coupon.email], True)
    soon = timezone.now() + timedelta(days=6)
    Grant.objects.filter(pk__in=[coupon.pk, elsewhere.pk]).update(
        expires_at=soon, decided_at=timezone.now() - timedelta(days=20)
    )
    assert send_reminders() == 1
    assert Email.objects.get(kind="grant_reminder").to == elsewhere.email
    assert publishing.publish(Course.objects.get(pk=course.pk))
    assert send_reminders() == 1


@pytest.mark.any_engine
def test_the_link_of_a_coupon_says_that_the_course_is_not_sold(client: Client) -> None:
    coupon = make_coupon()
    publishing.archive(coupon.course)
    answer = client.get(f"/checkout/{coupon.course.slug}/", {"grant": coupon.token}, follow=True)
    assert answer.redirect_chain == [(f"/grants/{coupon.token}/", 302)]
    page = answer.content.decode()
    assert "This course is not on sale at present" in page
    assert "Use it at the checkout" not in page
    assert client.get(f"/checkout/{coupon.course.slug}/").status_code == 404


@pytest.mark.any_engine
@pytest.mark.parametrize("move", [open_checkout, run_out, buy_with])
def test_no_page_of_a_grant_leads_to_what_is_not_sold(
    client: Client, move: Callable[[Grant], object]
) -> None:
    coupon = make_coupon()
    move(coupon)
    course = coupon.course
    ways = [course.get_absolute_url(), f"/checkout/{course.slug}/", f"/grants/apply/{course.slug}/"]
    publishing.archive(course)
    page = client.get(f"/grants/{coupon.token}/").text
    assert [way for way in ways if f'href="{way}' in page] == []


@pytest.mark.any_engine
def test_no_new_coupon_is_made_for_it() -> None:
    grant = make_application()
    publishing.archive(grant.course)
    decision = Decision(50, timezone.now() + timedelta(days=30))
    with pytest.raises(InvalidDecision, match="not on sale"):
        applications.approve(grant, decision, by=STAFF)
    grant.refresh_from_db()
    assert (grant.status, grant.code) == ("pending", None)


@pytest.mark.any_engine
def test_staff_are_warned_with_the_number(client: Client, django_user_model) -> None:
    client.force_login(
        django_user_model.objects.create_superuser("staff@example.org", "correct horse battery")
    )
    course = make_course()
    make_coupon(course)
    make_coupon(course, email="b@example.com")
    address = f"/admin/courses/course/{course.pk}/archive/"
    assert "2 people hold an unused coupon for it." in client.get(address).content.decode()
    assert client.post(address, {"decide": "1"}).status_code == 302
    assert Email.objects.filter(kind="grant_off_sale").count() == 0
    sweep()
    assert Email.objects.filter(kind="grant_off_sale").count() == 2


class Killed(BaseException):
    """What ends a process, as far as the code can see."""


def test_a_kill_between_two_mails_leaves_nobody_out_and_mails_nobody_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(off_sale, "MAILS_AT_ONCE", 2)
    course = make_course(**COMPLETE)
    for number in range(5):
        make_coupon(course, email=f"{number}@example.com")
    off_sale.take_off_sale(course)
    saved: list[str] = []

    def kill_at_the_fourth(sender: type[Email], instance: Email, **_: Any) -> None:
        saved.append(instance.to)
        if len(saved) == 4:
            raise Killed

    pre_save.connect(kill_at_the_fourth, sender=Email)
    with pytest.raises(Killed):
        off_sale.mail_holders()
    pre_save.disconnect(kill_at_the_fourth, sender=Email)
    assert Email.objects.filter(kind="grant_off_sale").count() == 2
    assert [off_sale.mail_holders(limit=4) for _ in range(2)] == [3, 0]
    mailed = Email.objects.filter(kind="grant_off_sale").values_list("to", flat=True)
    assert sorted(mailed) == [f"{number}@example.com" for number in range(5)]


@pytest.mark.any_engine
def test_holders_of_a_course_that_is_on_sale_again_are_not_mailed_that_it_is_not() -> None:
    course = make_course(**COMPLETE)
    make_coupon(course)
    off_sale.take_off_sale(course)
    publishing.publish(Course.objects.get())
    assert off_sale.mail_holders() == 0
    off_sale.take_off_sale(Course.objects.get())
    assert off_sale.mail_holders() == 1


@pytest.mark.any_engine
def test_the_page_says_that_our_mails_to_the_applicant_come_back(client: Client) -> None:
    """Fault E2."""
    grant = make_application()
    path = f"/grants/{grant.token}/"
    assert "come back" not in client.get(path).text
    UndeliverableAddress.objects.create(email=grant.email, reason="bounced")
    page = client.get(path).text
    assert f"Our e-mails to {grant.email} come back" in page
    assert "Your application is not affected" in page


@pytest.mark.any_engine
def test_who_leaves_a_checkout_after_the_course_went_off_sale_is_told_then(
    client: Client,
) -> None:
    """The coupon is held while the others are mailed, and free again a minute later."""
    course = make_course(**COMPLETE)
    payment = open_checkout(make_coupon(course))
    off_sale.take_off_sale(course)
    assert off_sale.mail_holders() == 0
    deliver(client, expired(payment))
    assert Email.objects.filter(kind="grant_off_sale").count() == 1


@pytest.mark.any_engine
def test_no_mail_leads_to_the_checkout_of_a_course_that_is_off_sale() -> None:
    coupon = make_coupon()
    Email.objects.all().delete()
    publishing.archive(coupon.course)
    with pytest.raises(InvalidDecision, match="not on sale"):
        applications.reissue(coupon, by=STAFF)
    moving.move(coupon, by=STAFF, to="right@example.com", reason="Mistyped.")
    assert [mail.kind for mail in Email.objects.all()] == ["grant_off_sale"]
