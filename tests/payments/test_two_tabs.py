"""Two tabs of one buyer, while staff change the course and the grant: whatever the order of the
steps, Stripe is asked for what the page said, and credited is whose link was followed last.
"""

import re
from typing import Any

import pytest
from django.core.cache import cache
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from courses.models import Course
from enrollments.models import Enrollment
from grants.models import Grant, GrantEvent
from maaledu.money import Money
from operations import invariants
from payments.models import Payment
from tests.affiliates.make import make_affiliate
from tests.affiliates.shop import check_out, deliver_events, visitor
from tests.cleaning import empty_database
from tests.factories import make_course
from tests.grants.make import HOLDER, make_coupon
from tests.sandbox_client import Sandbox

pytestmark = [pytest.mark.slow, pytest.mark.engines("sqlite")]

SHOWN = re.compile(r'name="shown" value="([^"]+)"')
BUTTON = re.compile(r'<button type="submit" class="wide">([^<]+)</button>')
REFERRED = re.compile(r"Referred by <strong>([^<]+)</strong>")
NAMES = ("First", "Second")
TABS = st.integers(0, 1)
CHANGES = [
    *[(Course, {"price": price}) for price in (29900, 49900, 99800, 0)],
    *[(Course, {"currency": currency}) for currency in ("usd", "eur")],
    *[(Grant, {"percent": percent}) for percent in (25, 50, 100)],
    *[(Course, {"status": status}) for status in ("archived", "published")],
]


class Tabs(RuleBasedStateMachine):
    """Beside the product: what each tab shows, and whose link was followed last."""

    sandbox: Sandbox
    # What a page said, and what Stripe was asked for after it, in all examples.
    pairs: list[tuple[str, str]]

    def __init__(self) -> None:
        super().__init__()
        empty_database()
        self.sandbox.reset()
        self.sandbox.webhooks(hold=True)
        self.affiliates = [make_affiliate(name=name) for name in NAMES]
        self.client = visitor()
        self.pages: dict[int, tuple[str, str]] = {}  # the page and its coupon, by tab
        self.clicked = ""
        self.credited = ""
        self._look_at_another_course()

    def _look_at_another_course(self) -> None:
        """Open a course that the buyer has not bought, with the coupon in one of the two tabs."""
        self.course = make_course(price=49900)
        self.grant = make_coupon(self.course)
        self.pressed = 0
        for tab in (0, 1):
            self.open(tab, with_coupon=bool(tab))

    @property
    def address(self) -> str:
        return f"/checkout/{self.course.slug}/"

    @rule(which=st.integers(0, 1))
    def follow_a_link(self, which: int) -> None:
        self.client.get(f"/r/{self.affiliates[which].code}/")
        self.clicked = NAMES[which]

    @rule(tab=TABS, with_coupon=st.booleans())
    def open(self, tab: int, with_coupon: bool) -> None:
        cache.clear()  # the limits of tries are not what this is about
        coupon = self.grant.code or "" if with_coupon else ""
        form = {"email": HOLDER, "coupon": coupon}
        asked_for = (
            self.client.post(f"{self.address}coupon/", form)
            if with_coupon
            else self.client.get(self.address)
        )
        if asked_for.status_code == 200:
            self.pages[tab] = (asked_for.text, coupon)
            assert REFERRED.findall(asked_for.text) == [self.clicked] * bool(self.clicked)

    @rule(tab=TABS, change=st.sampled_from(CHANGES), is_opened_anew=st.booleans())
    def staff_change_something_and_the_buyer_presses_the_button(
        self, tab: int, change: tuple[type[Course] | type[Grant], dict], is_opened_anew: bool
    ) -> None:
        model, fields = change
        model.objects.update(**fields)
        if model is Grant:  # as if it had been approved so
            approvals = GrantEvent.objects.filter(what__startswith="approved at ")
            approvals.update(what=f"approved at {fields['percent']} %")
        if is_opened_anew:
            self.open(tab, with_coupon=bool(self.pages[tab][1]))
        cache.clear()
        page, coupon = self.pages[tab]
        [shown], [button] = SHOWN.findall(page), BUTTON.findall(page)
        before = len(self.sandbox.sessions())
        answer = check_out(self.client, self.course, email=HOLDER, coupon=coupon, shown=shown)
        if answer.status_code == 302:
            self._is_what_the_page_said(button, answer["Location"])
            return
        assert answer.status_code in (404, 409), answer.status_code
        assert len(self.sandbox.sessions()) == before
        if answer.status_code == 409 and "The price has changed" in answer.text:
            self.pages[tab] = (answer.text, coupon)
            assert BUTTON.findall(answer.text) != [button]

    def _is_what_the_page_said(self, button: str, location: str) -> None:
        running = Enrollment.objects.live().get(course=self.course)
        asked = "Enroll for free"
        if running.status == Enrollment.PENDING:
            [session] = self._open_sessions()
            assert session["url"] == location
            price = Money(session["amount_total"], session["currency"])
            asked = f"Continue to payment, {price}"
            assert session["metadata"].get("referral_code", "") == running.referral_code
        self.pressed += 1
        self.pairs.append((button, asked))
        assert asked == button
        self.credited = self.clicked
        assert self._credited_by(running) == self.credited
        if running.status == Enrollment.PAID:
            self._look_at_another_course()

    def _credited_by(self, enrollment: Enrollment) -> str:
        keys = [affiliate.pk for affiliate in self.affiliates]
        return NAMES[keys.index(enrollment.affiliate_id)] if enrollment.affiliate_id else ""

    def _open_sessions(self) -> list[dict[str, Any]]:
        return [each for each in self.sandbox.sessions() if each["status"] == "open"]

    @precondition(lambda self: self.pressed > 1 and self._open_sessions())
    @rule(is_heard=st.booleans())
    def pay(self, is_heard: bool) -> None:
        [session] = self._open_sessions()
        self.sandbox.pay(session["id"])
        if is_heard:
            deliver_events(self.sandbox)
            payment = Payment.objects.get(stripe_session_id=session["id"])
            assert (payment.status, payment.review_reason) == (Payment.PAID, "")
            assert payment.amount_received == payment.amount
            assert self._credited_by(payment.enrollment) == self.credited
            self._look_at_another_course()

    @invariant()
    def nothing_but_the_running_checkout_can_be_paid(self) -> None:
        payable = {each["id"] for each in self._open_sessions()}
        pending = Payment.objects.filter(status=Payment.PENDING, stripe_session_id__in=payable)
        assert len(payable) == pending.count() <= 1

    def teardown(self) -> None:
        assert invariants.verify() == []


@pytest.mark.django_db
def test_stripe_is_asked_for_what_the_page_said_whatever_changes_between_two_tabs(
    sandbox: Sandbox,
) -> None:
    Tabs.sandbox, Tabs.pairs = sandbox, []
    run_state_machine_as_test(
        Tabs,
        settings=settings(
            max_examples=10,
            stateful_step_count=15,
            deadline=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert [pair for pair in Tabs.pairs if pair[0] != pair[1]] == []
    assert len(set(Tabs.pairs)) >= 5
