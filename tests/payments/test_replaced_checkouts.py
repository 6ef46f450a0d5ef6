"""A running checkout is resumed at the same price only: what the page shows is what Stripe asks."""

import re
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client

from courses.discounts import Price
from courses.models import Course
from enrollments.models import Enrollment
from payments import checkout_sessions, orders
from payments.errors import StripeUnavailable
from payments.models import Payment
from tests.factories import make_course
from tests.grants.make import HOLDER, make_coupon
from tests.payments.test_checkout import EMAIL, FORM, post, post_json
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.any_engine

SHOWN = re.compile(r'name="shown" value="([^"]+)"')


def shown_on(client: Client, slug: str) -> str:
    [shown] = SHOWN.findall(client.get(f"/checkout/{slug}/").text)
    return shown


def asked(sandbox: Sandbox) -> dict[str, list[tuple[int, str]]]:
    """Return what Stripe asks for, by the state of the session."""
    found: dict[str, list[tuple[int, str]]] = {"open": [], "expired": [], "complete": []}
    for session in sandbox.sessions():
        found[session["status"]].append((session["amount_total"], session["currency"]))
    return found


@pytest.mark.every_engine
@pytest.mark.parametrize(
    ("changes", "now"),
    [
        ({"price": 29900}, (29900, "usd")),
        ({"price": 59900}, (59900, "usd")),
        ({"currency": "eur"}, (49900, "eur")),
        ({"title": "Another course altogether"}, (49900, "usd")),
    ],
    ids=["cheaper", "dearer", "currency", "title"],
)
@pytest.mark.parametrize(
    "ask", [post, lambda client, slug: post_json(client, courseId=slug)], ids=["page", "json"]
)
def test_a_running_checkout_of_another_price_is_closed_at_stripe_and_replaced(
    buyer: Client, sandbox: Sandbox, ask: Any, changes: dict[str, Any], now: tuple[int, str]
) -> None:
    course = make_course(price=49900)
    ask(buyer, course.slug)
    Course.objects.update(**changes)
    answer = ask(buyer, course.slug)
    assert answer.status_code in (201, 302)
    assert asked(sandbox) == {"open": [now], "expired": [(49900, "usd")], "complete": []}
    assert sorted(Enrollment.objects.values_list("status", "amount", "currency")) == [
        ("cancelled", 49900, "usd"),
        ("pending", *now),
    ]
    replaced = Enrollment.objects.get(status="cancelled")
    assert replaced.failure_code == "REPLACED"
    assert "This checkout was replaced" in buyer.get(replaced.get_absolute_url()).text
    assert Payment.objects.get(status="pending").checkout_url == (
        answer["Location"] if answer.status_code == 302 else answer.json()["url"]
    )


def test_a_course_that_became_free_ends_the_checkout_that_runs(
    buyer: Client, sandbox: Sandbox
) -> None:
    course = make_course(price=49900)
    post(buyer, course.slug)
    Course.objects.update(price=0)
    post(buyer, course.slug)
    assert asked(sandbox) == {"open": [], "expired": [(49900, "usd")], "complete": []}
    assert sorted(Enrollment.objects.values_list("status", "amount")) == [
        ("cancelled", 49900),
        ("paid", 0),
    ]


def test_what_turns_out_paid_at_stripe_is_what_the_buyer_sees(
    buyer: Client, sandbox: Sandbox
) -> None:
    course = make_course(price=49900)
    post(buyer, course.slug)
    sandbox.pay(sandbox.sessions()[0]["id"])
    Course.objects.update(price=29900)
    answer = post(buyer, course.slug)
    assert answer.status_code == 409
    assert "is already enrolled" in answer.text
    assert list(Enrollment.objects.values_list("status", "amount")) == [("paid", 49900)]


def test_a_debit_that_runs_at_the_old_price_is_not_paid_once_more(
    buyer: Client, sandbox: Sandbox
) -> None:
    """Stripe knows of the debit, and our webhook has not come."""
    course = make_course(price=49900)
    post(buyer, course.slug)
    sandbox.stripe(async_delay=60)
    sandbox.pay(sandbox.sessions()[0]["id"], "delayed_success")
    Course.objects.update(price=29900)
    answer = post(buyer, course.slug)
    assert (answer.status_code, "on its way from your bank" in answer.text) == (409, True)
    assert list(Payment.objects.values_list("status", "amount")) == [("processing", 49900)]
    assert asked(sandbox) == {"open": [], "expired": [], "complete": [(49900, "usd")]}
    sandbox.stripe(async_delay=0.2)


def test_an_order_with_another_grant_at_the_same_price_is_another_one() -> None:
    course = make_course(price=49900)
    grant, other = make_coupon(course), make_coupon(course, email="other@example.com")
    order = orders.Order(course, HOLDER, "", Price(49900, 24950, 24950, "usd"), grant)
    running = orders.write(order).enrollment
    assert order.is_of(running)
    assert [replace(order, grant=each).is_of(running) for each in (other, None)] == [False] * 2


@pytest.mark.parametrize(
    "moved", [{"lms_course_id": "second-edition"}, {"lms_platform": "openedx"}]
)
def test_an_order_is_another_one_once_the_course_is_elsewhere_in_the_lms(
    db: None, moved: dict[str, str]
) -> None:
    course = make_course()
    order = orders.order_for(course, email=EMAIL, coupon="", running=None)
    running = orders.write(order).enrollment
    assert order.is_of(running)
    for name, value in moved.items():
        setattr(course, name, value)
    assert not order.is_of(running)


def test_while_stripe_cannot_close_the_old_session_no_second_one_is_made(
    buyer: Client, sandbox: Sandbox
) -> None:
    course = make_course(price=49900)
    post(buyer, course.slug)
    Course.objects.update(price=29900)
    sandbox.fault("stripe", "503")
    assert post(buyer, course.slug).status_code == 503
    sandbox.heal()
    assert asked(sandbox) == {"open": [(49900, "usd")], "expired": [], "complete": []}
    assert list(Enrollment.objects.values_list("status", "amount")) == [("pending", 49900)]


def test_a_page_that_shows_an_old_price_is_shown_again_and_nothing_is_written(
    buyer: Client, sandbox: Sandbox
) -> None:
    course = make_course(price=49900)
    shown = shown_on(buyer, course.slug)
    assert shown == "49900-usd"
    Course.objects.update(price=59900)
    answer = post(buyer, course.slug, shown=shown)
    assert answer.status_code == 409
    assert "The price has changed" in answer.text
    assert "Continue to payment, $599.00" in answer.text
    assert SHOWN.findall(answer.text) == ["59900-usd"]
    assert (Enrollment.objects.count(), sandbox.sessions()) == (0, [])
    assert post(buyer, course.slug, shown="59900-usd").status_code == 302
    assert asked(sandbox)["open"] == [(59900, "usd")]


@pytest.mark.parametrize("shown", ["1-usd", "49900-eur", "49900", "free", "-", "49900-usd-"])
def test_a_price_that_a_form_makes_up_buys_nothing(
    buyer: Client, sandbox: Sandbox, shown: str
) -> None:
    course = make_course(price=49900)
    assert post(buyer, course.slug, shown=shown).status_code == 409
    assert (Enrollment.objects.count(), sandbox.sessions()) == (0, [])


@pytest.mark.every_engine
def test_a_session_made_for_a_checkout_that_another_tab_replaced_is_closed(
    buyer: Client, sandbox: Sandbox
) -> None:
    """The second tab ends the payment while Stripe has yet to answer the first one."""
    course = make_course(price=49900)
    post(buyer, course.slug)
    # As it is left by a first tab that is cut off before it stores the session.
    Payment.objects.update(stripe_session_id=None, checkout_url="")
    first = Payment.objects.select_related("enrollment").get()
    Course.objects.update(price=29900)
    assert post(buyer, course.slug).status_code == 302
    with pytest.raises(StripeUnavailable):
        checkout_sessions.ensure_session(first.enrollment, first, is_own=True, actor="test")
    assert asked(sandbox) == {
        "open": [(29900, "usd")],
        "expired": [(49900, "usd")],
        "complete": [],
    }
    assert sorted(Payment.objects.values_list("status", "amount")) == [
        ("cancelled", 49900),
        ("pending", 29900),
    ]


def test_the_button_is_what_stripe_asks_after_a_coupon_is_applied(buyer: Client) -> None:
    """The price that is sent back changes with the button."""
    course = make_course(price=49900)
    assert "Continue to payment, $499.00" in buyer.get(f"/checkout/{course.slug}/").text
    form = {**FORM, "email": EMAIL, "coupon": "NOTHING"}
    part = buyer.post(f"/checkout/{course.slug}/coupon/", form, headers={"HX-Request": "true"})
    assert SHOWN.findall(part.text) == ["49900-usd"]
