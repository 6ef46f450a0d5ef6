"""A restored backup and one command: what was bought since is here again, as it was (fault M12)."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Model
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from affiliates.models import Affiliate, Balance, Commission, LedgerEntry, ReferralDay
from courses.models import Course
from enrollments import late_access, rebuilding
from enrollments.models import Enrollment, EnrollmentEvent
from grants import applications
from grants.models import Grant
from lms_sync import awaiting
from lms_sync.models import SyncJob
from maaledu.work.queue import drain
from notifications.models import Email
from notifications.queue import EMAILS
from operations import invariants
from payments import overdue, ownership, rebuild, reconcile, refund_requests, settlement
from payments.comparisons import compare_session, unmended
from payments.errors import CannotRebuild
from payments.models import Dispute, EarlyFraudWarning, Payment, Reconciliation, Refund
from payments.refund_requests import Request
from payments.reversal_comparisons import REFUNDS, SALE_MISSING
from tests.affiliates.make import make_affiliate
from tests.affiliates.shop import BROWSER, deliver_events, drained, fresh, provision
from tests.backup import take_backup
from tests.concurrency import race
from tests.factories import make_course, make_payment, make_pending, refund_of
from tests.grants.make import make_coupon
from tests.payments.reconciled import counts, mended
from tests.sandbox_client import Sandbox

HOURS, DAYS = 3600, 86400  # seconds


@dataclass
class Shop:
    """The shop as its visitors and staff use it, each from an address of their own."""

    sandbox: Sandbox
    visitors: int = 0
    coupons: dict[str, Grant] = field(default_factory=dict)

    def check_out(
        self, course: Course, *, through: Affiliate | None = None, coupon: Grant | None = None
    ) -> Payment:
        """Let a new visitor begin to buy, and return the payment that waits for them."""
        email = coupon.email if coupon else f"learner{self.visitors}@example.com"
        return self.check_out_as(email, course, through=through, coupon=coupon)

    def check_out_as(
        self,
        email: str,
        course: Course,
        *,
        through: Affiliate | None = None,
        coupon: Grant | None = None,
    ) -> Payment:
        self.visitors += 1
        client = Client(headers={"user-agent": BROWSER}, REMOTE_ADDR=f"203.0.113.{self.visitors}")
        if through:
            client.get(f"/r/{through.code}/{course.slug}/")
        form = {"email": email, "accept_terms": "on", "coupon": coupon.code if coupon else ""}
        answer = client.post(f"/checkout/{course.slug}/", form)
        assert answer.status_code == 302, answer.content
        return Payment.objects.get(
            enrollment__email=email, enrollment__course=course, status="pending"
        )

    def sell(self, course: Course, **how: Any) -> Payment:
        """Sell, and let Stripe report it."""
        return self.receive(self.check_out(course, **how))

    def receive(self, payment: Payment) -> Payment:
        self.sandbox.pay(payment.stripe_session_id)
        deliver_events(self.sandbox)
        return fresh(payment)

    def refund(self, payment: Payment, amount: int = 0, *, by_staff: bool = False) -> None:
        amount = amount or payment.amount
        if by_staff:
            wanted = Request(
                amount, "requested_by_customer", "staff@example.com", gives_coupon_back=True
            )
            refund_requests.request(payment, wanted)
        else:
            self.sandbox.refund_in_dashboard(payment.stripe_payment_intent_id, amount)
        deliver_events(self.sandbox)

    def work(self) -> None:
        """Let the workers do all that waits."""
        drained()
        drain(EMAILS)

    def mails(self) -> list[tuple[str, str]]:
        """Return what arrived at learners, in the mailbox itself."""
        return sorted(
            (to, mail["subject"])
            for mail in self.sandbox.mails()
            for to in mail["to"]
            if not to.startswith("staff")
        )


@pytest.fixture
def shop(sandbox: Sandbox) -> Shop:
    """There is no endpoint, so that to Stripe every event counts as delivered: the shop does it."""
    sandbox.webhooks(hold=False)
    return Shop(sandbox)


def command(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("reconcile_stripe", *arguments, stdout=out)
    return out.getvalue().splitlines()


def refused(*arguments: str) -> tuple[list[str], str]:
    out = StringIO()
    with pytest.raises(CommandError) as failure:
        call_command("reconcile_stripe", *arguments, stdout=out)
    return out.getvalue().splitlines(), str(failure.value)


def alerts() -> list[str]:
    mails = Email.objects.filter(kind="staff_alert").order_by("created_at")
    return [mail.context["subject"] for mail in mails]


# --- what must be the same ------------------------------------------------------------------------
# When a row was written or changed, and what is nowhere but in the rows that are lost.
MOMENTS = {
    "created_at",
    "updated_at",
    "paid_at",
    "lms_synced_at",
    "rebuilt_at",
    "available_at",
    "progress_due_at",
}
NOT_AT_STRIPE = {"name", "network_key", "checkout_url", "lms_origin", "lms_user_made"}
# Of refunds: who of the staff asked for it, and its own key.
STAFFS = {"id", "source", "requested_by", "note", "idempotency_key"}


def of(model: type[Model], key: str, *without: str) -> dict[Any, dict[str, Any]]:
    left_out = {*MOMENTS, *NOT_AT_STRIPE, *without}
    return {
        row[key]: {name: value for name, value in row.items() if name not in left_out}
        for row in model._default_manager.values()
    }


def books(sandbox: Sandbox) -> dict[str, Any]:
    """Return what purchases come to here and at the LMS, without ids of events and moments."""
    return {
        "enrollments": of(Enrollment, "id", "lms_enrollment_id"),
        "payments": of(Payment, "id"),
        "refunds": of(Refund, "stripe_refund_id", *STAFFS),
        "disputes": of(Dispute, "stripe_dispute_id", "id", "reported_at"),
        "warnings": of(EarlyFraudWarning, "stripe_warning_id", "id", "reported_at"),
        "grants": of(Grant, "id", "expires_at", "reserved_at", "redeemed_at"),
        "commissions": of(Commission, "enrollment_id", "id", "steps"),
        "entries": sorted(
            LedgerEntry.objects.values_list("enrollment_id", "kind", "amount", "affiliate_id")
        ),
        "balances": sorted(
            Balance.objects.values_list(
                "affiliate_id", "currency", "pending", "payable", "held", "paid"
            )
        ),
        "jobs": sorted(SyncJob.objects.values_list("dedupe_key", "status", "email", "course_id")),
        "funnel": sorted(
            ReferralDay.objects.exclude(checkouts=0).values_list(
                "affiliate_id", "course_slug", "currency", "checkouts", "purchases", "earned"
            )
        ),
        # Of what was revoked nothing is left in the LMS that could be found again.
        "access": sorted(
            Enrollment.objects.filter(lms_status="success").values_list("id", "lms_enrollment_id")
        ),
        "moves": sorted(
            (str(pk), before, after)
            for pk, before, after in EnrollmentEvent.objects.values_list(
                "enrollment_id", "from_status", "to_status"
            )
            if after not in (before, "expired")
        ),
        "lms": sorted((row["name"], row["member"], row["course"]) for row in sandbox.enrollments()),
    }


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[Any]:
    """Return the fields that differ, row by row."""
    found: list[Any] = []
    for name, rows in before.items():
        if isinstance(rows, list):
            found += [(name, row) for row in {*rows} ^ {*after[name]}]
            continue
        for key in {*rows, *after[name]}:
            one, other = rows.get(key, {}), after[name].get(key, {})
            found += [
                (name, field, one.get(field), other.get(field))
                for field in {*one, *other}
                if one.get(field) != other.get(field)
            ]
    return found


def moments() -> dict[Any, Any]:
    return {e.pk: (e.created_at, e.paid_at) for e in Enrollment.objects.all()}


@dataclass
class Trade:
    """A backup, and then twenty purchases of all kinds that it does not have."""

    shop: Shop
    directory: Path

    @property
    def sandbox(self) -> Sandbox:
        return self.shop.sandbox

    def begin(self) -> Callable[[], None]:
        """Set the shop up, begin two purchases, and take the backup."""
        self.course, self.cheap = make_course(), make_course(price=19999)
        self.euro = make_course(currency="eur")
        self.ada, self.bob = make_affiliate(rate=1000), make_affiliate(rate=1234)
        self.coupons = {
            percent: make_coupon(course, percent=percent, email=f"holder{percent}@example.com")
            for course, percent in (
                (self.course, 50),
                (self.cheap, 33),
                (self.course, 95),
                (self.euro, 20),
                (self.course, 10),
            )
        }
        self.waits = self.shop.check_out(self.course)
        self.has_no_access_yet = self.shop.sell(self.cheap)
        drain(EMAILS)
        return take_backup(self.directory)

    def sell(self, course: Course, outcome: str = "paid", **how: Any) -> Payment:
        """Sell; what Stripe has to report of it is delivered later."""
        coupon = self.coupons.get(how.pop("percent", None))
        payment = self.shop.check_out(course, coupon=coupon, **how)
        self.sandbox.pay(payment.stripe_session_id, outcome)
        return payment

    def go_on(self) -> None:
        course, cheap, euro = self.course, self.cheap, self.euro
        ada, bob = {"through": self.ada}, {"through": self.bob}
        self.shop.receive(self.waits)
        for kind in (course, cheap, euro):
            self.sell(kind)
        self.sell(course, percent=50)
        self.sell(euro, percent=20, **ada)
        self.sell(cheap, percent=33, **bob)
        for kind, affiliate in ((course, ada), (cheap, bob), (euro, ada)):
            self.sell(kind, **affiliate)
        refunded = [self.sell(course), self.sell(cheap, **bob), self.has_no_access_yet]
        in_part = [self.sell(euro, **ada), self.sell(cheap, **bob)]
        given_back = self.sell(course, percent=95)
        disputed = [self.sell(course, **ada) for _ in range(3)]
        self.debit_banks()
        deliver_events(self.sandbox)
        self.shop.work()
        for payment in refunded:
            self.refund(payment)
        for payment, amount in zip([*in_part, *in_part], (12345, 33, 4321, 6667), strict=True):
            self.refund(payment, amount)
        self.shop.refund(fresh(given_back), by_staff=True)
        self.dispute(disputed)
        self.warn(in_part[0])
        self.shop.work()

    def debit_banks(self) -> None:
        """One debit arrives, one is refused, and one takes nine days."""
        self.sell(self.course, "delayed_success", through=self.ada)
        self.sell(self.course, "delayed_failure")
        self.sandbox.advance(1)
        self.sandbox.stripe(async_delay=9 * DAYS)
        self.on_its_way = self.sell(self.course, "delayed_success", percent=10, through=self.bob)

    def refund(self, payment: Payment, amount: int | None = None) -> None:
        self.sandbox.refund_in_dashboard(fresh(payment).stripe_payment_intent_id, amount)

    def warn(self, payment: Payment) -> None:
        self.sandbox.warn_of_fraud(fresh(payment).stripe_payment_intent_id)
        deliver_events(self.sandbox)

    def dispute(self, payments: list[Payment]) -> None:
        """One dispute is lost, one is won, and one is open."""
        intents = [fresh(payment).stripe_payment_intent_id for payment in payments]
        opened = [self.sandbox.dispute(intent) for intent in intents]
        deliver_events(self.sandbox)
        for dispute, end in zip(opened, ("lost", "won"), strict=False):
            self.sandbox.close_dispute(dispute["id"], end)
        deliver_events(self.sandbox)


def test_restore_and_one_command_bring_twenty_purchases_back_as_they_were(
    shop: Shop, sandbox: Sandbox, tmp_path: Path
):
    """The same rows, commissions to the cent, no second mail, no second row in the LMS."""
    trade = Trade(shop, tmp_path)
    restore = trade.begin()
    trade.go_on()
    before, when, mails = books(sandbox), moments(), Counter(shop.mails())
    assert invariants.verify() == []
    restore()
    assert Enrollment.objects.count() == 2
    lines = command()
    shop.work()
    assert "sessions: 22 looked at, 1 agreed, 21 mended (20 rebuilt), 0 cannot be mended" in lines
    assert sum(line.startswith("  rebuilt: cs_") for line in lines) == 20
    found = differences(before, books(sandbox))
    assert not found, "\n".join(map(str, found))
    for pk, (created, paid) in moments().items():
        assert abs(created - when[pk][0]) < timedelta(seconds=5)
        assert paid == when[pk][1] or abs(paid - when[pk][1]) < timedelta(minutes=1)
    assert Counter(shop.mails()) == mails
    assert invariants.verify() == []
    flagged = EnrollmentEvent.objects.filter(actor=rebuilding.ACTOR, note__contains="backup")
    assert len(set(flagged.values_list("enrollment_id", flat=True))) == 20
    assert alerts().count("Purchases were rebuilt from Stripe") == 1

    # Nothing is left to find, and the debit that was on its way arrives as ever, with its e-mail.
    assert mended(reconcile.reconcile()) == {}
    sandbox.advance(9 * DAYS)
    deliver_events(sandbox)
    shop.work()
    commission = Commission.objects.get(enrollment_id=trade.on_its_way.enrollment_id)
    assert commission.amount == 6158  # 12.34 % of 499.00
    assert len(shop.mails()) == mails.total() + 1


# --- what is known of a session -------------------------------------------------------------------
LONGEST = {"course_title": "ж" * 200, "course_slug": "a" * 140, "lms_course_id": "b" * 255}


def test_a_session_carries_what_a_purchase_needs_and_nothing_about_the_person(
    shop: Shop, sandbox: Sandbox
):
    ada, course = make_affiliate(), make_course()
    shop.check_out(course, through=ada, coupon=make_coupon(course))
    enrollment = Enrollment.objects.get()
    Enrollment.objects.update(name="Grace Holder", **LONGEST)
    said = rebuild.metadata_of(fresh(enrollment), Payment.objects.get())
    assert len(said) <= 40
    assert all(len(name) <= 40 and 0 < len(value) <= 500 for name, value in said.items())
    session = sandbox.sessions()[0]
    assert (
        session["metadata"].items()
        >= {
            "payment_id": str(Payment.objects.get().pk),
            "enrollment_id": str(enrollment.pk),
            "course": course.slug,
            "course_id": str(course.pk),
            "list_price": "49900",
            "amount": "24950",
            "currency": "usd",
            "grant_id": str(enrollment.grant_id),
            "discount_percent": "50",
            "affiliate_id": str(ada.pk),
            "commission_rate": "1000",
            "attempt": "1",
        }.items()
    )
    everything = str([*said.values(), *session["metadata"].values()])
    for private in ("Grace", enrollment.email, enrollment.token, enrollment.network_key):
        assert private not in everything


def lost_session(shop: Shop, restore: Callable[[], None], course: Course) -> dict[str, Any]:
    """Return the session of a purchase that is lost, as Stripe lists it."""
    payment = shop.sell(course)
    restore()
    [session] = [s for s in shop.sandbox.sessions() if s["id"] == payment.stripe_session_id]
    return session


CANNOT = {
    "an older version's metadata": (
        {"metadata": {"payment_id": str(UUID(int=1)), "enrollment_id": str(UUID(int=2))}},
        "its metadata is of an older version, which does not say enough",
    ),
    "another amount": (
        {"amount_total": 49899},
        "its amount or currency is not the one in its metadata",
    ),
    "another currency": (
        {"currency": "eur"},
        "its amount or currency is not the one in its metadata",
    ),
    "no amount": ({"amount_total": None}, "its amount or currency is not the one in its metadata"),
    "nothing paid": (
        {"payment_status": "no_payment_required"},
        "its amount or currency is not the one in its metadata",
    ),
    "no address": (
        {"customer_email": None},
        "its metadata is damaged: This field cannot be blank.",
    ),
    "an amount in words": (
        {"list_price": "many"},
        "its metadata is damaged: “many” value must be an integer.",
    ),
    "an unknown currency": (
        {"metadata.currency": "xau"},
        "its metadata is damaged: Value 'xau' is",
    ),
    "a course id that is none": ({"course_id": "1"}, "its metadata is damaged: “1” is not a valid"),
    "a negative price": (
        {"list_price": "-1"},
        "its metadata is damaged: Ensure this value is great",
    ),
    "an unknown course": (
        {"course_id": str(UUID(int=3)), "course_slug": "gone"},
        "its course gone is not here: make it again at this address",
    ),
    "another shop's course of the same name": (
        {"course_id": str(UUID(int=3)), "success_url": "https://other.example/enrollments/x/"},
        "is not here, and it was sold at other.example",
    ),
}


@pytest.mark.any_engine
def test_what_cannot_be_rebuilt_is_named_and_changes_nothing(shop: Shop, tmp_path: Path):
    course = make_course()
    session = lost_session(shop, take_backup(tmp_path), course)
    for changes, why in CANNOT.values():
        metadata = {
            **session["metadata"],
            **{
                name.removeprefix("metadata."): value
                for name, value in changes.items()
                if name not in session
            },
        }
        odd = {
            **session,
            "metadata": metadata,
            **{n: v for n, v in changes.items() if n in session},
        }
        with pytest.raises(CannotRebuild, match=re.escape(why)):
            compare_session(odd, {})
    odd = {**session, "payment_status": "paid_in_beads"}
    assert compare_session(odd, {}).verdict == "unmended"
    assert Enrollment.objects.count() == 0


@pytest.mark.any_engine
def test_a_course_that_is_lost_too_is_named_until_it_is_made_again(shop: Shop, tmp_path: Path):
    restore = take_backup(tmp_path)
    payment = shop.sell(make_course(slug="lost-course", title="Plumbing"))
    shop.refund(payment, 100)
    restore()
    for _ in range(2):
        lines, why = refused()
        assert why == "2 cannot be mended."
        named = [line for line in lines if line.startswith("  ")]
        course_is_gone = (
            "CANNOT_REBUILD: its course lost-course is not here: make it again at this address"
        )
        assert named[0] == f"  {payment.stripe_session_id}: {course_is_gone}"
        assert named[1].endswith(course_is_gone)
    assert alerts() == ["Some of what Stripe says cannot be reconciled"]
    assert (Enrollment.objects.count(), Refund.objects.count()) == (0, 0)
    course = make_course(slug="lost-course")
    assert mended(reconcile.reconcile()) == {"sessions": 1, "refunds": 1}
    assert fresh(payment).refund_committed == 100
    assert fresh(payment).enrollment.course == course
    shop.work()
    assert [subject for _, subject in shop.mails()] == ["Your course is ready: Plumbing"]


@pytest.mark.any_engine
def test_a_refund_of_a_sale_whose_session_stripe_does_not_have_is_named(sandbox: Sandbox):
    metadata = dict.fromkeys(ownership.NAMED_BY_US, str(UUID(int=1)))
    refund = refund_of(make_pending()[1], payment_intent={"id": "pi_alone", "metadata": metadata})
    mend = REFUNDS.compare(refund, {}).mend
    assert mend
    assert mend("test") == unmended(SALE_MISSING)
    assert Refund.objects.count() == 0


@pytest.mark.any_engine
def test_a_dry_run_says_what_it_would_rebuild_and_writes_nothing(shop: Shop, tmp_path: Path):
    course = make_course(title="Plumbing")
    session = lost_session(shop, take_backup(tmp_path), course)
    lines = command("--dry-run")
    assert "sessions: 1 looked at, 0 agreed, 1 mended (1 rebuilt), 0 cannot be mended" in lines
    enrollment_id = session["metadata"]["enrollment_id"]
    assert (
        f"  rebuilt: {session['id']}: $499.00 (pending) for enrollment {enrollment_id}: Plumbing"
    ) in lines
    assert any("free enrollments" in line for line in lines)
    for model in (Enrollment, Payment, SyncJob, EnrollmentEvent, Reconciliation, Email):
        assert model._default_manager.count() == 0


# --- whoever bought again -------------------------------------------------------------------------
@pytest.mark.any_engine
def test_who_has_bought_again_by_then_is_enrolled_once_and_can_be_refunded(
    shop: Shop, tmp_path: Path
):
    """Decisions: double payment; also at another price, and by a debit on its way."""
    course = make_course()
    restore = take_backup(tmp_path)
    first = shop.sell(course)
    email = first.enrollment.email
    restore()
    Course.objects.update(price=29900)
    second = shop.receive(shop.check_out_as(email, fresh(course)))
    # Stripe let an attempt end without a payment, of which nothing can have been refunded.
    make_payment(
        second.enrollment,
        attempt=2,
        status="paid",
        amount_received=0,
        review_reason="amount_mismatch",
    )
    command()
    assert (fresh(first).status, fresh(first).review_reason) == ("paid", "duplicate")
    assert (fresh(first).refundable, fresh(first).enrollment_id) == (49900, second.enrollment_id)
    assert (fresh(second).status, fresh(second).review_reason) == ("paid", "")
    assert "A payment needs a decision: duplicate" in alerts()
    shop.work()
    assert Enrollment.objects.get().has_access
    shop.refund(fresh(first))
    assert Enrollment.objects.get().status == "paid"
    assert mended(reconcile.reconcile()) == {}


@pytest.mark.any_engine
def test_a_checkout_begun_again_gives_way_to_the_one_that_was_paid(shop: Shop, tmp_path: Path):
    course = make_course()
    grant = make_coupon(course)
    restore = take_backup(tmp_path)
    paid = shop.sell(course, coupon=grant)
    restore()
    again = shop.check_out(course, coupon=grant)
    assert fresh(grant).enrollment_id == again.enrollment_id
    command()
    assert fresh(again).enrollment.status == "cancelled"
    assert (fresh(paid).status, fresh(paid).review_reason) == ("paid", "")
    assert fresh(paid).enrollment.status == "paid"
    assert (fresh(grant).status, fresh(grant).enrollment_id) == ("redeemed", paid.enrollment_id)
    overdue.end_overdue()
    assert fresh(again).status in ("expired", "cancelled")


@pytest.mark.every_engine
def test_who_bought_again_after_a_refund_keeps_the_second_one(shop: Shop, tmp_path: Path):
    """Both the refund and the second purchase are lost, and the first purchase is not."""
    course = make_course()
    first = shop.sell(course)
    restore = take_backup(tmp_path)
    shop.work()
    shop.refund(first)
    second = shop.receive(shop.check_out_as(first.enrollment.email, course))
    shop.work()
    mails = shop.mails()
    restore()
    command()
    shop.work()
    assert [fresh(p).enrollment.status for p in (first, second)] == ["refunded", "paid"]
    assert [fresh(p).review_reason for p in (first, second)] == ["", ""]
    assert fresh(second).enrollment.has_access
    assert len(shop.sandbox.enrollments()) == 1
    assert shop.mails() == mails


@pytest.mark.any_engine
def test_a_second_attempt_to_pay_is_lost_alone(shop: Shop, tmp_path: Path):
    course = make_course()
    first = shop.check_out(course)
    restore = take_backup(tmp_path)
    settlement.abandon(first)  # as after its session's address was never stored
    shop.check_out_as(first.enrollment.email, course)
    second = shop.receive(Payment.objects.get(status="pending"))
    restore()
    command()
    assert (fresh(second).attempt, fresh(second).status) == (2, "paid")
    assert fresh(second).enrollment_id == first.enrollment_id
    assert fresh(first).status == "failed"
    assert Enrollment.objects.get().status == "paid"


# --- what is gone besides -------------------------------------------------------------------------
@pytest.mark.any_engine
def test_a_coupon_and_an_affiliate_that_are_not_here_cost_the_buyer_nothing(
    shop: Shop, tmp_path: Path
):
    course = make_course()
    used = make_coupon(course, email="first@example.com")
    restore = take_backup(tmp_path)
    ada, unknown = make_affiliate(), make_coupon(course, email="second@example.com")
    sold = [
        shop.sell(course, through=ada),
        shop.sell(course, coupon=unknown),
        shop.sell(course, coupon=used),
    ]
    restore()
    applications.revoke(fresh(used), by="staff@example.com")
    command()
    assert [fresh(payment).enrollment.status for payment in sold] == ["paid"] * 3
    assert [fresh(payment).amount_received for payment in sold] == [49900, 24950, 24950]
    assert fresh(used).status == "revoked"
    assert Counter(alerts()) == {
        "Purchases were rebuilt from Stripe": 1,
        "A late payment used a coupon that is no longer free": 2,
        "A rebuilt sale credits an affiliate who is not here": 1,
    }
    credited = fresh(sold[0]).enrollment
    assert (credited.affiliate_id, credited.referral_code) == (None, ada.code)
    assert credited.referral_outcome == "unknown"
    [alert] = Email.objects.filter(dedupe_key__contains="affiliate-gone")
    assert f"{ada.code}, was promised 1000 basis points of $499.00." in alert.context["lines"][1]


# --- who hears of it ------------------------------------------------------------------------------
def test_only_who_had_no_access_gets_the_e_mail_about_it(shop: Shop, tmp_path: Path):
    """Also where the answer to our own first request is lost, and the LMS has the row then."""
    course = make_course()
    restore = take_backup(tmp_path)
    had = shop.sell(course)
    shop.work()
    had_not = shop.sell(course)
    shop.sandbox.clear_mails()
    restore()
    command()
    create = "POST /api/resource/LMS Enrollment"
    shop.sandbox.fault("lms", "lost_answer", create, times=1)
    shop.sandbox.fault("lms", "down", "GET /api/resource/LMS Enrollment", skip=2, times=1)
    shop.work()
    assert len(shop.sandbox.calls("lms", create)) == 2
    assert len(shop.sandbox.enrollments()) == 2
    [(to, _)] = shop.mails()
    assert to == fresh(had_not).enrollment.email
    note = EnrollmentEvent.objects.get(note=rebuilding.CONFIRMED_BEFORE)
    assert note.enrollment_id == had.enrollment_id


@pytest.mark.any_engine
def test_what_stripe_could_not_deliver_was_not_mailed_and_is(shop: Shop, tmp_path: Path):
    """While the shop was down somebody paid, and another was refunded in Stripe's dashboard."""
    course = make_course()
    restore = take_backup(tmp_path)
    refunded, waits = shop.sell(course), shop.check_out(course)
    shop.work()
    shop.sandbox.webhooks(hold=True)
    shop.sandbox.pay(waits.stripe_session_id)
    shop.sandbox.refund_in_dashboard(refunded.stripe_payment_intent_id)
    restore()
    shop.sandbox.clear_mails()
    command()
    shop.work()
    assert [subject for _, subject in shop.mails()] == [
        f"$499.00 is on its way back to you: {course.title}",
        f"Your course is ready: {course.title}",
    ]
    assert [fresh(p).enrollment.status for p in (refunded, waits)] == ["refunded", "paid"]
    # An event of a session that is not here is no alert of its own: the session is rebuilt.
    assert set(alerts()) == {"Purchases were rebuilt from Stripe"}


@pytest.mark.any_engine
def test_later_events_of_what_was_rebuilt_are_mailed_as_ever(shop: Shop, tmp_path: Path):
    course = make_course()
    restore = take_backup(tmp_path)
    one, other = shop.sell(course), shop.sell(course)
    shop.work()
    restore()
    command()
    shop.work()
    shop.sandbox.clear_mails()
    shop.refund(fresh(one))
    shop.sandbox.refund_in_dashboard(other.stripe_payment_intent_id)  # which no event reports
    assert mended(reconcile.reconcile()) == {"refunds": 1}
    shop.work()
    assert len(shop.mails()) == 2
    assert shop.sandbox.enrollments() == []


def test_what_is_rebuilt_is_as_old_as_the_sale(shop: Shop, tmp_path: Path):
    """Also found by its refund alone, when it is older than what was asked for."""
    ada, course = make_affiliate(), make_course()
    restore = take_backup(tmp_path)
    shop.sandbox.set_clock_ahead(-20 * HOURS)
    payment = shop.sell(course, through=ada)
    shop.sandbox.set_clock_ahead(0)
    shop.sandbox.refund_in_dashboard(payment.stripe_payment_intent_id, 100)
    restore()
    assert counts(reconcile.reconcile(since=timedelta(hours=1))) == {"refunds": (1, 0, 1, 0)}
    assert (fresh(payment).status, fresh(payment).refund_committed) == ("paid", 100)
    sold = fresh(payment).enrollment
    assert late_access.mail_buyers_without_access() == 0
    for moment in (sold.created_at, sold.paid_at, fresh(payment).paid_at):
        assert timedelta(hours=19) < timezone.now() - moment < timedelta(hours=21)
    payable_at = Commission.objects.get().available_at
    assert abs(payable_at - sold.paid_at - timedelta(days=30)) < timedelta(seconds=1)


def test_the_command_and_the_nightly_run_at_once_rebuild_everything_once(
    shop: Shop, tmp_path: Path
):
    ada, course = make_affiliate(), make_course()
    restore = take_backup(tmp_path)
    sold = [shop.sell(course, through=ada) for _ in range(4)]
    restore()
    found = race(lambda number: counts(reconcile.reconcile()), threads=3)
    assert {each["sessions"][3] for each in found} == {0}
    assert {fresh(payment).status for payment in sold} == {"paid"}
    assert [e.status for e in Enrollment.objects.all()] == ["paid"] * 4
    assert EnrollmentEvent.objects.filter(to_status="paid").count() == 4
    assert (Commission.objects.count(), SyncJob.objects.count()) == (4, 4)


@pytest.mark.any_engine
def test_who_has_no_account_on_open_edx_is_asked_for_one_once(
    shop: Shop, sandbox: Sandbox, settings: Settings, tmp_path: Path
):
    settings.OPENEDX_BASE_URL = sandbox.edx_url
    settings.OPENEDX_MODE = "audit"  # what the account gets by itself
    course = make_course(lms_platform="openedx", lms_course_id="course-v1:Maal+DS101+2026")
    restore = take_backup(tmp_path)
    enrollment = shop.sell(course).enrollment
    work_once()
    assert fresh(enrollment).lms_status == "awaiting_account"
    asked = shop.mails()
    assert len(asked) == 1
    restore()
    command()
    work_once()
    assert (fresh(enrollment).lms_status, shop.mails()) == ("awaiting_account", asked)
    sandbox.edx(accounts=[{"email": enrollment.email, "username": "asha", "is_active": False}])
    sandbox.edx(activate=enrollment.email)
    SyncJob.objects.update(look_at=timezone.now())
    assert awaiting.look_for_accounts() == 1
    work_once()
    assert fresh(enrollment).has_access
    assert len(shop.mails()) == 2


def work_once() -> None:
    provision()
    drain(EMAILS)


@pytest.mark.any_engine
def test_staff_see_what_was_rebuilt(shop: Shop, office: Client, tmp_path: Path):
    course = make_course()
    session = lost_session(shop, take_backup(tmp_path), course)
    command()
    enrollment = Enrollment.objects.get()
    page = office.get(f"/admin/enrollments/enrollment/{enrollment.pk}/change/").text
    assert rebuilding.ACTOR in page
    assert session["id"] in page
    assert office.get("/admin/payments/reconciliation/").status_code == 200
