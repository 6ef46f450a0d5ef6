"""The write sweep over a coupon's two ways: a free place, and a discounted one that is paid for.

As in test_write_sweep, a step is cut at every one of its writes in every way, and what follows is
what would follow in reality. Either the holder comes back, and ends as if nothing had happened; or
never does, and the coupon is good again.
"""

import signal
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from enrollments.models import Enrollment
from grants import applications
from grants.applications import Application, Decision
from grants.models import Grant, Program
from notifications.models import Email
from payments.models import Payment
from tests.faults import Faults
from tests.payments.test_checkout import age
from tests.sandbox_client import Sandbox
from tests.system.books import assert_bought_once, broken_invariants, let_time_pass
from tests.system.driver import Driver, Told
from tests.system.test_write_sweep import EMAIL, WAYS, Purchase, buy, cuts

__all__ = ["buy"]

pytestmark = pytest.mark.django_db
PARTIAL, FREE = 50, 100
LIST_PRICE, HALF = 49900, 24950
STEPS = {PARTIAL: ("checkout", "webhook", "worker"), FREE: ("checkout", "worker")}
# The worker's writes are those of any purchase, as a test below holds, and test_write_sweep cuts
# them.
CUTS = [(percent, step) for percent, steps in STEPS.items() for step in steps if step != "worker"]
IDS = [f"{percent} %, {step}" for percent, step in CUTS]
LONG = timedelta(hours=1)


class GrantPurchase(Purchase):
    """A purchase with a coupon, which a program of one place pays for; `percent` of 100 needs no
    Stripe and no webhook.
    """

    def __init__(self, *tools, percent: int) -> None:
        super().__init__(*tools)
        self.percent, self.steps = percent, STEPS[percent]
        self.grant = self._granted()
        self.form = {**self.form, "coupon": self.grant.code}

    def _granted(self) -> Grant:
        grant = applications.file(
            self.course, Application("Ada Lovelace", EMAIL, "A situation.", "A motivation.")
        )
        program = Program.objects.create(name="Fund", budget_amount=LIST_PRICE, budget_grants=1)
        approved = applications.approve(
            grant,
            Decision(self.percent, timezone.now() + timedelta(days=30), program),
            by="staff@example.com",
        )
        Email.objects.all().delete()  # about the application; the purchase's own are counted here
        return approved

    def checkout(self, first: Callable[..., Told]) -> Told:
        """A free place needs no second try where the first one was written and only its answer
        lost.
        """
        if self.percent == PARTIAL:
            return super().checkout(first)
        told = again = first("checkout", **self.form)
        if told.status != 302:
            was_written = Enrollment.objects.paid().exists()
            again = self.survivor.run("checkout", **self.form)
            assert again.status == (409 if was_written else 302), again
        return told

    def leave(self, at: int, kind: str) -> None:
        """Cut the checkout off, let nobody come back for it, and let the session's time pass, at
        Stripe too.
        """
        self.faults.arm(at, kind)
        self.driver.run("checkout", **self.form)
        self.faults.disarm()
        self._let_it_end()
        self.survivor.run("worker")

    def _let_it_end(self) -> None:
        for session in self.sandbox.sessions():
            if session["status"] == "open":
                self.sandbox.expire(session["id"])
        for payment in Payment.objects.all():
            age(payment, LONG)
        Enrollment.objects.filter(status=Enrollment.PENDING).update(
            created_at=timezone.now() - LONG
        )
        Grant.objects.filter(status=Grant.RESERVED).update(reserved_until=timezone.now() - LONG)
        let_time_pass()

    def check(self) -> None:
        """The one end of both ways: the place is given once and at its price, the coupon used up by
        it, the budget spent.
        """
        assert_bought_once(self.sandbox, [EMAIL], charged=self.percent == PARTIAL)
        paid = Enrollment.objects.paid().get()
        assert (paid.kind, paid.amount) == (
            ("partial_grant", HALF) if self.percent == PARTIAL else ("grant", 0)
        )
        self.grant.refresh_from_db()
        assert (self.grant.status, self.grant.enrollment_id, self.grant.redeemed_by) == (
            "redeemed",
            paid.pk,
            EMAIL,
        )
        program = Program.objects.get()
        assert (program.committed_amount, program.committed_grants) == (LIST_PRICE - paid.amount, 1)


@pytest.fixture
def begin(
    driver: Driver, survivor: Driver, sandbox: Sandbox, faults: Faults
) -> Callable[[int], GrantPurchase]:
    return lambda percent: GrantPurchase(driver, survivor, sandbox, faults, percent=percent)


@pytest.mark.parametrize("kind", WAYS)
@pytest.mark.parametrize(("percent", "step"), CUTS, ids=IDS)
def test_a_purchase_with_a_coupon_survives_a_cut_at_every_write(
    begin, faults: Faults, percent: int, step: str, kind: str
) -> None:
    clean = begin(percent)
    assert clean.buy(step, 0, kind).exit == 0
    clean.check()
    writes = faults.writes
    assert len(writes) >= 4, writes
    for at, what in cuts(faults, kind):
        purchase = begin(percent)
        told = purchase.buy(step, at, kind)
        try:
            assert len(faults.writes) >= at
            assert told.exit == (-signal.SIGKILL if kind == "kill" else 0)
            purchase.check()
        except AssertionError as error:
            raise AssertionError(
                f"{kind} at write {at} of the {step}, {what}: {error}\n{told}"
            ) from error


def test_the_worker_writes_the_same_whatever_coupon_was_used(
    buy: Callable[..., Told], begin: Callable[[int], GrantPurchase], faults: Faults
) -> None:
    """So each of its cuts is one of those that test_write_sweep makes."""
    buy("worker", 0, "kill")
    writes = faults.writes
    assert len(writes) > 20, writes
    for percent in (PARTIAL, FREE):
        purchase = begin(percent)
        purchase.buy("worker", 0, "kill")
        assert faults.writes == writes
        purchase.check()


@pytest.mark.parametrize(("percent", "step"), CUTS)
def test_an_answer_about_a_coupon_that_nobody_hears_is_given_again(
    begin, percent: int, step: str
) -> None:
    purchase = begin(percent)
    assert purchase.buy(step, 0, "mute").exit == -signal.SIGKILL
    purchase.check()


@pytest.mark.parametrize("kind", WAYS)
@pytest.mark.parametrize("percent", [PARTIAL, FREE])
def test_no_coupon_is_reserved_for_ever_nor_lost_if_its_holder_does_not_come_back(
    begin, faults: Faults, percent: int, kind: str
) -> None:
    begin(percent).buy("checkout", 0, kind)
    for at, what in cuts(faults, kind):
        purchase = begin(percent)
        purchase.leave(at, kind)
        try:
            _assert_it_is_good_again_or_used_for_good(purchase)
        except AssertionError as error:
            raise AssertionError(f"{kind} at write {at}, {what}: {error}") from error


def _assert_it_is_good_again_or_used_for_good(purchase: GrantPurchase) -> None:
    """Nothing is half done; a holder who comes back after all finds the coupon good, or the place
    given.
    """
    purchase.grant.refresh_from_db()
    given = Enrollment.objects.paid().count()
    assert (purchase.grant.status, given) in [("approved", 0), ("redeemed", 1)]
    assert not given or purchase.percent == FREE
    assert Enrollment.objects.filter(status=Enrollment.PENDING).count() == 0
    assert broken_invariants() == []
    if not given:
        purchase.buy("", 0, "")
    purchase.check()
