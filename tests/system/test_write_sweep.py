"""The write sweep: a purchase is cut off at every one of its writes in every way, and still ends as
if it had not been.

A clean run counts the writes of a step, commits included. Then for each n the step runs in a real
process that is cut at its n-th write, and what follows is what would follow in reality: the buyer
posts the form again, Stripe sends the event again, the worker comes back and time passes.
"""

import json
import signal
from collections.abc import Callable, Mapping

import pytest
from django.db import connection

from enrollments.models import Enrollment
from payments.models import Payment
from tests.cleaning import empty_database
from tests.factories import make_course, signed
from tests.faults import Faults
from tests.sandbox_client import Sandbox
from tests.system.books import (
    AT_MOST_TWICE,
    ONCE,
    assert_bought_once,
    let_time_pass,
    note_that_all_parts_are_alive,
    unfinished,
)
from tests.system.driver import Driver, Told

pytestmark = pytest.mark.django_db
SLUG, EMAIL = "data-with-care", "ada@example.com"
STEPS = ("checkout", "webhook", "worker")
ROUNDS = 8
# A process that dies, and a write whose answer is lost, after which nobody knows what was written,
# are swept on each engine. A refused write means the same to our code on all of them; PostgreSQL
# has a connection to lose. What the others mean on MongoDB is held by
# tests/maaledu/test_db_mongodb.py.
WAYS = {
    "sqlite": ("kill", "raise", "lost"),
    "postgresql": ("kill", "drop", "lost"),
    "mongodb": ("kill", "lost"),
}[connection.vendor]
# Whoever dies within a transaction leaves what whoever dies at its commit leaves; an answer that is
# lost within one is the next write's lost connection. MongoDB runs a transaction again from there.
AT_LASTING_ONLY = ("kill",) if connection.vendor == "mongodb" else ("kill", "lost")


class Purchase:
    """One purchase from an empty shop on: one step in a process that is cut, the others in one that
    serves on.
    """

    steps = STEPS
    form: Mapping[str, str] = {"slug": SLUG, "email": EMAIL}

    def __init__(self, driver: Driver, survivor: Driver, sandbox: Sandbox, faults: Faults) -> None:
        self.driver, self.survivor, self.sandbox, self.faults = driver, survivor, sandbox, faults
        empty_database()
        note_that_all_parts_are_alive()
        sandbox.reset()
        self.course = make_course(slug=SLUG, title="Data with care")

    def buy(self, cut: str, at: int, kind: str) -> Told:
        """Buy, with the step `cut` cut off at its n-th write ("mute": before its answer); return
        what came of that step.
        """

        def cut_off(step: str, **arguments: str) -> Told:
            if kind == "mute":
                return self.driver.run(step, mute=True, **arguments)
            self.faults.arm(at, kind)
            told = self.driver.run(step, **arguments)
            self.faults.disarm()
            return told

        told = {
            step: getattr(self, step)(cut_off if step == cut else self.survivor.run)
            for step in self.steps
        }
        return told[cut or self.steps[-1]]

    def checkout(self, first: Callable[..., Told]) -> Told:
        told = again = first("checkout", **self.form)
        if told.status != 302:
            again = self.survivor.run("checkout", **self.form)
        assert again.status == 302, again
        assert again.location == Payment.objects.get(status=Payment.PENDING).checkout_url
        return told

    def webhook(self, first: Callable[..., Told]) -> Told:
        self.sandbox.pay(Payment.objects.get(status=Payment.PENDING).stripe_session_id)
        event = next(
            event
            for event in self.sandbox.book("events")
            if event["type"] == "checkout.session.completed"
        )
        post = {"body": json.dumps(event), "signature": signed(json.dumps(event))}
        told = again = first("webhook", **post)
        if told.status != 200:
            again = self.survivor.run("webhook", **post)
        assert again.status == 200, again
        return told

    def worker(self, first: Callable[..., Told]) -> Told:
        told = first("worker")
        for _ in range(ROUNDS):
            if not unfinished() and Enrollment.objects.filter(lms_status="success").exists():
                break
            let_time_pass()
            self.survivor.run("worker")
        return told


@pytest.fixture
def buy(driver: Driver, survivor: Driver, sandbox: Sandbox, faults: Faults) -> Callable[..., Told]:
    return lambda cut, at, kind: Purchase(driver, survivor, sandbox, faults).buy(cut, at, kind)


@pytest.mark.parametrize("kind", WAYS)
@pytest.mark.parametrize("step", STEPS)
def test_a_purchase_survives_a_cut_at_every_write(
    buy, sandbox: Sandbox, faults: Faults, step: str, kind: str
) -> None:
    assert buy(step, 0, kind).exit == 0
    assert_bought_once(sandbox, [EMAIL])
    writes = faults.writes
    assert len(writes) >= 4, writes
    places = cuts(faults, kind)
    print(f"\n{step} {kind}: {len(places)} of {len(writes)} writes")
    for at, what in places:
        told = buy(step, at, kind)
        try:
            assert len(faults.writes) >= at
            assert told.exit == (-signal.SIGKILL if kind == "kill" else 0)
            assert_bought_once(
                sandbox, [EMAIL], mails=AT_MOST_TWICE if is_after_the_mail(writes, at) else ONCE
            )
        except AssertionError as error:
            raise AssertionError(
                f"{kind} at write {at} of the {step}, {what}: {error}\n{told}"
            ) from error


def cuts(faults: Faults, kind: str) -> list[tuple[int, str]]:
    """Return the writes of the clean run, with their numbers, at which a cut of this kind comes to
    an end of its own; of those within a transaction every other one.
    """
    lasting = faults.lasting
    return [
        (number, what)
        for number, what in enumerate(faults.writes, 1)
        if number in lasting or (kind not in AT_LASTING_ONLY and number % 2)
    ]


def is_after_the_mail(writes: list[str], at: int) -> bool:
    """Whether the cut is between the mail server's "250" and the commit that records it: only there
    may a mail go out twice.
    """
    emails = [number for number, what in enumerate(writes, 1) if "notifications_email" in what]
    return bool(emails) and at >= emails[-2]


@pytest.mark.parametrize("step", ["checkout", "webhook"])
def test_an_answer_that_nobody_hears_is_given_again(buy, sandbox: Sandbox, step: str) -> None:
    assert buy(step, 0, "mute").exit == -signal.SIGKILL
    assert_bought_once(sandbox, [EMAIL])
